/**
 * Acting as another principal (CONTRACTS §5): a credential whose principal is the other and whose actor is the one who
 * asked for it. It may do what both may, at each use, for as long as the actor may impersonate; it changes no access and
 * makes no credentials.
 */
import type { z } from 'zod';
import type { Caller, Principal } from '#kernel/caller.ts';
import type { Check, Decision, Question } from '#kernel/decision.ts';
import { refusal } from '#kernel/errors.ts';
import type { AnyOperation } from '#kernel/operation.ts';
import { Reply } from '#kernel/operation.ts';
import { parseResourcePath } from '#kernel/scope.ts';
import type { Entry, World } from '#kernel/world.ts';
import { entryPath } from '#kernel/world.ts';
import type { Asker } from '#features/access/feature.ts';
import type { PrincipalFacts } from '#features/access/schema.ts';
import { authorOf, targetOf } from '#features/resources/feature.ts';
import type { Call } from '#platform/call.ts';
import { operation } from '#platform/call.ts';
import { refuseMissing } from '#platform/http/refuse.ts';
import type { CredentialServices } from './feature.ts';
import { outlives, parentOf, refuseRevoked } from './lineage.ts';
import { createdToken, expiryOf, impersonation, impersonationTtlMs } from './schema.ts';
import type { Credential, CredentialKind } from './store.ts';
import { insertCredential } from './store.ts';
import { hashToken, makeToken } from './token-form.ts';
import { viewOf } from './token-view.ts';

export type Decide = (world: World, asker: Asker, question: Question, now: Date) => Decision;

/** With these somebody acts who is known; sessions belong to nobody here, and who acts as another is not passed on. */
const impersonators: ReadonlySet<string> = new Set<CredentialKind>(['personal', 'service_account']);

export function impersonateOperation(services: CredentialServices): AnyOperation {
  return operation({
    name: 'api_token.impersonate',
    summary: 'Makes a short token to act as a principal whose rights the caller holds; it may do what both may, and the audit names both',
    method: 'POST',
    path: '{account}/api-tokens:impersonate',
    input: { body: impersonation },
    output: createdToken,
    access: {
      shape: 'plan',
      plan: async (call: Call, { body }: { body: z.infer<typeof impersonation> }) => {
        refuseOtherCredentials(call.caller);
        const found = personNamed(call, body.principal);
        return { checks: checksOf(services, call, found), before: call.world, after: call.world.overlay([]), found };
      },
    },
    audit: 'api_token.impersonate',
    dialect: 'api',
    prepare: async (call, { body }, person: Entry) => {
      refuseNobody(call, person);
      const expiresAt = expiryOf(body, { now: call.now, notAfter: call.caller.expiresAt, defaultMs: impersonationTtlMs });
      if (expiresAt === null) throw outlives(call.caller);
      const token = makeToken('impersonation', (bytes) => call.random(bytes));
      return { person, token, credential: credentialOf(call, person, expiresAt) };
    },
    write: async (tx, call, { body }, { person, credential, token }) => {
      await refuseRevoked(tx, call.caller);
      await insertCredential(tx, { ...credential, hash: hashToken(token) });
      const detail = { principal: person.uid, reason: body.reason, expiresAt: credential.expiresAt };
      call.note({ scope: person.scope, resource: { kind: 'api_token', uid: credential.id, path: credential.id }, detail });
      return new Reply({ ...viewOf(credential), token }, { status: 201 });
    },
  });
}

/** The actor of such a credential as it is now; null when it is gone, disabled, or may not impersonate this principal any more. */
export function actorNow(decide: Decide, world: World, credential: Credential, now: Date): Principal | null {
  const person = world.get(credential.principalUid ?? '');
  const actor = world.get(credential.actor?.uid ?? '');
  if (person === undefined || actor === undefined || actor.kind !== credential.actor?.type) return null;
  if (actor.kind !== 'user' && actor.kind !== 'service_account') return null;
  const principal: Principal = { type: actor.kind, uid: actor.uid, path: entryPath(actor) };
  const asker: Asker = { accountId: credential.accountId, principal, bounds: credential.bounds };
  // Whoever is disabled is allowed nothing.
  return decide(world, asker, questionOf(person), now).allowed ? principal : null;
}

function questionOf(person: Entry): Question {
  return { permission: `${person.kind}.impersonate`, target: targetOf(person) };
}

function refuseOtherCredentials({ credential }: Caller): void {
  if (impersonators.has(credential.kind)) return;
  throw refusal('access.denied', { say: `acting as another takes an API token of a user or service account, not a credential of kind \`${credential.kind}\`` });
}

function personNamed(call: Call, { type, path }: z.infer<typeof impersonation>['principal']): Entry {
  const place = parseResourcePath(path);
  const entry = place === null ? undefined : call.world.find(type, place.scope, place.identifier);
  if (entry === undefined) throw refuseMissing(call, `${type}.impersonate`, place?.identifier ?? null);
  return entry;
}

function checksOf(services: CredentialServices, call: Call, person: Entry): Check[] {
  const why = `you must hold all that \`${entryPath(person)}\` holds to act as it`;
  const given = services.holdings(call.world, { type: person.kind, uid: person.uid });
  return [{ ask: 'permission', ...questionOf(person), world: 'before' }, ...given.map((bound): Check => ({ ask: 'holds', given: bound, why }))];
}

function refuseNobody({ caller }: Call, person: Entry): void {
  const message = person.uid === caller.principal.uid ? 'is yourself' : (person.facts as PrincipalFacts).enabled ? null : 'is disabled';
  if (message !== null) throw refusal('request.invalid', { errors: [{ pointer: '/principal/path', message }] });
}

function credentialOf(call: Call, person: Entry, expiresAt: Date): Credential {
  const { caller } = call;
  return {
    id: call.uid(), accountId: call.account.id, kind: 'impersonation', principalType: person.kind, principalUid: person.uid,
    actor: { type: caller.principal.type, uid: caller.principal.uid }, name: null, bounds: caller.bounds, mayAdminister: false,
    createdAt: call.now, createdBy: authorOf(caller), parentId: parentOf(caller), expiresAt, revokedAt: null,
  };
}
