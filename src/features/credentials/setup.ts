/**
 * The first administrator. The first start makes a one-time code; whoever brings it back becomes account admin and gets a
 * personal access token. `admin recover` makes a new code on the host.
 */
import type { Caller } from '#kernel/caller.ts';
import { refusal } from '#kernel/errors.ts';
import { isIdentifier } from '#kernel/identifier.ts';
import { accountScope } from '#kernel/scope.ts';
import { entryPath } from '#kernel/world.ts';
import { recordByOperator } from '#features/audit/feature.ts';
import type { UserFacts } from '#features/people/schema.ts';
import type { Manifest } from '#features/resources/schema.ts';
import type { ReadyChange, ResourceServices } from '#features/resources/feature.ts';
import { changeAs } from '#features/resources/feature.ts';
import type { Call } from '#platform/call.ts';
import type { Clock, Randomness } from '#platform/clock.ts';
import type { Database, Tx } from '#platform/database/database.ts';
import { hashPassword } from './passwords.ts';
import type { Credential } from './store.ts';
import { findLive, insertCredential, revoke } from './store.ts';
import { hashToken, makeToken } from './token-form.ts';

const setupCodeMs = 3_600_000;
const firstTokenMs = 90 * 86_400_000;

/**
 * Replaces every earlier code of the account. Returns the code, which is kept only as a hash. `announce` hears it before it
 * works: what is cut off in between leaves a code that does not work, and not one that works and that nobody knows.
 */
export async function makeSetupCode(
  services: { database: Database; clock: Clock; randomness: Randomness },
  accountId: string,
  announce: (code: string) => Promise<void> = async () => undefined,
): Promise<string> {
  const code = services.randomness.bytes(20).toString('base64url');
  await announce(code);
  const now = services.clock.now();
  const id = services.randomness.uid();
  const expiresAt = new Date(now.getTime() + setupCodeMs);
  await services.database.transaction(async (tx) => {
    await revoke(tx, accountId, { kind: 'setup' }, now);
    await insertCredential(tx, {
      accountId, id, kind: 'setup', principalType: null, principalUid: null, actor: null, name: null, hash: hashToken(code),
      bounds: 'principal', mayAdminister: false, createdAt: now, createdBy: 'system:setup', parentId: null, expiresAt,
    });
    await recordByOperator(tx, services, accountId, { action: 'setup_code.create', resource: { kind: 'setup_code', uid: id, path: id }, detail: { expiresAt } });
  });
  return code;
}

export interface SetupInput {
  readonly code: string;
  readonly email: string;
  readonly identifier?: string | undefined;
  readonly password: string;
}

export interface ReadySetup {
  readonly credential: Credential;
  readonly change: ReadyChange;
  readonly userUid: string;
  readonly passwordHash: string;
  readonly user: string;
  readonly token: string;
}

export async function prepareSetup(services: ResourceServices, call: Call, input: SetupInput): Promise<ReadySetup> {
  const credential = await findLive(services.database.read, call.account.id, hashToken(input.code), call.now);
  if (credential === null || credential.kind !== 'setup') throw refusal('credential.setup_code');
  const user = input.identifier ?? identifierOf(input.email);
  if (!isIdentifier(user)) throw refusal('request.invalid', { errors: [{ pointer: '/identifier', message: 'must begin with a letter or `_` and go on with letters, digits or `_`' }] });
  refuseSomebodyElse(call, user, input.email);
  const change = await changeAs(services, call, setupCaller(call.account.id), manifests(user, input.email));
  const uid = change.plan.changes.find((each) => each.entryAfter?.kind === 'user')!.uid;
  return {
    credential, change, userUid: uid, user,
    passwordHash: await hashPassword(input.password, (bytes) => call.random(bytes)),
    token: makeToken('personal', (bytes) => call.random(bytes)),
  };
}

/** With a code from `admin recover` somebody who exists gets in again. Who that is is said by the e-mail address, not by a name made from it. */
function refuseSomebodyElse({ world }: Call, user: string, email: string): void {
  const facts = world.find('user', accountScope, user)?.facts as UserFacts | undefined;
  if (facts === undefined || facts.email === email) return;
  throw refusal('resource.exists', { say: `there is a user \`${user}\` with another e-mail address; give that address, or choose another identifier` });
}

function manifests(user: string, email: string): Manifest[] {
  return [
    { kind: 'User', identifier: user, spec: { email } },
    {
      kind: 'RoleBinding',
      identifier: `setup_admin_${user}`.slice(0, 128),
      spec: { principal: { type: 'user', id: user }, role: 'account_admin', resourceGroup: 'all_resources_including_child_scopes' },
    },
  ];
}

export interface SetupResult {
  readonly user: string;
  readonly token: string;
  readonly expiresAt: Date;
}

/** Uses the code up and ends the bootstrap token, in the transaction that makes the admin. */
export async function writeSetup(tx: Tx, call: Call, ready: ReadySetup, writeAs: (tx: Tx, call: Call, caller: Caller, change: ReadyChange) => Promise<number>): Promise<SetupResult> {
  const { numUpdatedRows } = await tx.updateTable('credential').set({ revoked_at: call.now })
    .where('account_id', '=', call.account.id).where('id', '=', ready.credential.id).where('revoked_at', 'is', null).executeTakeFirst();
  if (numUpdatedRows !== 1n) throw refusal('credential.setup_code');
  await writeAs(tx, call, setupCaller(call.account.id), ready.change);
  await revoke(tx, call.account.id, { kind: 'bootstrap' }, call.now);
  await tx.insertInto('password').values({ account_id: call.account.id, user_uid: ready.userUid, hash: ready.passwordHash, updated_at: call.now })
    .onConflict((conflict) => conflict.columns(['account_id', 'user_uid']).doUpdateSet({ hash: ready.passwordHash, updated_at: call.now })).execute();
  const expiresAt = new Date(call.now.getTime() + firstTokenMs);
  const id = call.uid();
  await insertCredential(tx, {
    accountId: call.account.id, id, kind: 'personal', principalType: 'user', principalUid: ready.userUid, actor: null, name: 'setup', hash: hashToken(ready.token),
    bounds: 'principal', mayAdminister: true, createdAt: call.now, createdBy: 'system:setup', parentId: null, expiresAt,
  });
  const user = { kind: 'user', uid: ready.userUid, path: entryPath({ scope: '/', identifier: ready.user }) };
  call.note({ action: 'setup.complete', actor: { type: 'system', uid: 'setup', path: 'setup' }, resource: user, detail: { credential: id } });
  return { user: ready.user, token: ready.token, expiresAt };
}

function setupCaller(accountId: string): Caller {
  return {
    accountId, principal: { type: 'system', uid: 'setup', path: 'setup' }, credential: { kind: 'setup', id: 'setup' },
    bounds: 'principal', mayAdminister: true, expiresAt: null,
  };
}

/** `alice.b@example.com` → `alice_b`. */
function identifierOf(email: string): string {
  const local = email.slice(0, email.indexOf('@')).replaceAll(/[^A-Za-z0-9_]/g, '_').slice(0, 128);
  return /^[A-Za-z_]/.test(local) ? local : `_${local}`.slice(0, 128);
}
