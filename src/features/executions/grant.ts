/**
 * The run grant: what an execution may do is what its starter may do, decided anew at each use. It keeps the starter's
 * principal, bounds and, of a workload, its verified claims and mappings; it outlives the session, not the mapping.
 */
import type { Bound, Caller, Principal, WorkloadEvidence } from '#kernel/caller.ts';
import type { Keyring } from '#platform/keyring.ts';
import type { Place } from './store.ts';

interface StoredGrant {
  readonly formatVersion: 1;
  readonly principal: Principal;
  readonly credential: Caller['credential'];
  readonly bounds: 'principal' | readonly Bound[];
  readonly actor: Principal | null;
  readonly workload: WorkloadEvidence | null;
}

export interface GrantServices {
  readonly keyring: Keyring;
  /** Whether a credential is neither revoked nor, unless it is a session, over. */
  readonly credentialLives: (accountId: string, credential: Caller['credential'], now: Date) => Promise<boolean>;
}

function context(executionId: string): string {
  return `run-grant:${executionId}`;
}

export async function sealGrant({ keyring }: Pick<GrantServices, 'keyring'>, executionId: string, caller: Caller): Promise<Buffer> {
  const { accountId, principal, credential, bounds, actor, workload } = caller;
  const grant: StoredGrant = { formatVersion: 1, principal, credential, bounds, actor: actor ?? null, workload: workload ?? null };
  return keyring.seal(accountId, context(executionId), Buffer.from(JSON.stringify(grant)));
}

/** The caller a run acts as. It may not administer: a step never changes trust or access. */
export async function openGrant(services: GrantServices, { accountId, executionId }: Place, sealed: Uint8Array, now: Date): Promise<Caller> {
  const grant = JSON.parse((await services.keyring.open(accountId, context(executionId), sealed)).toString('utf8')) as StoredGrant;
  const { principal, credential, workload } = grant;
  // A principal of the system is nothing but its credential, and no binding of it can be removed; whoever revokes a session
  // means what it started too.
  const isItsCredential = principal.type === 'system' || credential.kind === 'session';
  const ended = isItsCredential && !(await services.credentialLives(accountId, credential, now));
  return {
    accountId,
    principal,
    credential: { kind: 'run', id: executionId },
    bounds: ended ? [] : grant.bounds,
    ...(grant.actor === null ? {} : { actor: grant.actor }),
    mayAdminister: false,
    expiresAt: null,
    ...(workload === null ? {} : { workload }),
  };
}
