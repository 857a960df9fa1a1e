/** Writes audit rows in the transaction of the act. */
import type { Caller } from '#kernel/caller.ts';
import { accountScope } from '#kernel/scope.ts';
import type { Act } from '#platform/call.ts';
import type { Tx } from '#platform/database/database.ts';
import type { Randomness } from '#platform/clock.ts';
import type { AuditEvent, SealedEvent } from './leaf.ts';
import { leafFormat, sealEvent } from './leaf.ts';

/** What an audit row takes from the call it happened in. */
export interface ActContext {
  readonly accountId: string;
  readonly now: Date;
  readonly caller: Caller | null;
  readonly address: string | null;
  readonly requestId: string;
  /** Verb of acts that name none. */
  readonly action: string;
}

export type Recorder = (tx: Tx, context: ActContext, acts: readonly Act[]) => Promise<void>;

export function createRecorder(randomness: Randomness): Recorder {
  return async (tx, context, acts) => {
    if (acts.length === 0) return;
    const sealed = acts.map((act) => sealEvent(eventOf(context, act, randomness), randomness.bytes));
    for (let from = 0; from < sealed.length; from += 500) {
      const some = sealed.slice(from, from + 500);
      const pending = some.map(({ event }) => ({ account_id: event.accountId, at: event.at, id: event.id }));
      // One statement, since every act waits for it.
      await tx.with('pending', (query) => query.insertInto('audit_pending').values(pending)).insertInto('audit_event').values(some.map(rowOf)).execute();
    }
  };
}

function eventOf(context: ActContext, act: Act, randomness: Randomness): AuditEvent {
  const { caller } = context;
  const principal = act.actor ?? caller?.principal ?? null;
  // Who acted as the principal, where the act is the principal's.
  const by = principal !== null && principal.uid === caller?.principal.uid ? caller.actor : undefined;
  const claims = act.claims ?? caller?.workload?.recordedClaims ?? caller?.workload?.claims;
  return {
    accountId: context.accountId,
    id: randomness.uid(),
    at: context.now,
    actorType: principal?.type ?? null,
    actorUid: principal?.uid ?? null,
    via: caller === null ? null : `${caller.credential.kind}:${caller.credential.id}`,
    action: act.action ?? context.action,
    resourceKind: act.resource?.kind ?? null,
    resourceUid: act.resource?.uid ?? null,
    resourcePath: act.resource?.path ?? null,
    scope: act.scope ?? accountScope,
    outcome: act.outcome ?? 'success',
    sessionId: act.session ?? caller?.workload?.sessionId ?? null,
    requestId: context.requestId,
    detail: plain(act.detail),
    personal: {
      actor: principal === null ? undefined : { path: principal.path, ...(by === undefined ? {} : { by: `${by.type}:${by.path}` }) },
      address: context.address ?? undefined,
      claims: plain(claims),
      diff: plain(act.diff),
    },
  };
}

/** The value as JSON will give it back, so that a leaf computed now and one computed from the row agree. */
function plain(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

function rowOf({ event, commitments, personal, leaf }: SealedEvent) {
  return {
    account_id: event.accountId,
    at: event.at,
    id: event.id,
    format: leafFormat,
    actor_type: event.actorType,
    actor_uid: event.actorUid,
    via: event.via,
    action: event.action,
    resource_kind: event.resourceKind,
    resource_uid: event.resourceUid,
    resource_path: event.resourcePath,
    scope: event.scope,
    outcome: event.outcome,
    session_id: event.sessionId,
    request_id: event.requestId,
    detail: event.detail === undefined || event.detail === null ? null : JSON.stringify(event.detail),
    commitments: JSON.stringify(commitments),
    personal: JSON.stringify(personal),
    leaf,
  };
}
