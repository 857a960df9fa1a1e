/** Runners and their one-time registration tokens in the database. */
import { canonicalJson } from '#kernel/canonical.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { Reader, Tx } from '#platform/database/database.ts';
import { violates } from '#platform/database/database.ts';
import { refusal } from '#kernel/errors.ts';
import type { SealingJwk, SigningJwk } from './schema.ts';

export type RunnerState = 'active' | 'paused' | 'removed';

export interface Runner {
  readonly accountId: string;
  readonly id: string;
  readonly scope: ScopePath;
  readonly identifier: string;
  readonly labels: readonly string[];
  readonly signingKey: SigningJwk;
  readonly sealingKey: SealingJwk;
  readonly state: RunnerState;
  readonly createdAt: Date;
  readonly createdBy: string;
  /** When it last asked for work, within `seenEveryMs`. */
  readonly seenAt: Date | null;
}

export interface Registration {
  readonly accountId: string;
  readonly id: string;
  readonly scope: ScopePath;
  readonly identifier: string;
  readonly labels: readonly string[];
  readonly createdAt: Date;
  readonly createdBy: string;
  /** The credential it was made with; null = by the server itself. */
  readonly madeWith: { readonly kind: string; readonly id: string } | null;
  readonly expiresAt: Date;
}

/** A registration with what became of it. */
export interface FoundRegistration extends Registration {
  readonly revoked: boolean;
  /** Null until it was used. */
  readonly runnerId: string | null;
}

const seenEveryMs = 15_000;

export async function findRunner(reader: Reader, accountId: string, id: string): Promise<Runner | null> {
  const row = await reader.selectFrom('runner').selectAll().where('account_id', '=', accountId).where('id', '=', id).executeTakeFirst();
  return row === undefined ? null : runnerOf(row);
}

/** Removed ones too, so that a name can be told to be taken. */
export async function findNamed(reader: Reader, accountId: string, place: { readonly scope: ScopePath; readonly identifier: string }): Promise<Runner | null> {
  const row = await reader.selectFrom('runner').selectAll()
    .where('account_id', '=', accountId).where('scope', '=', place.scope).where('identifier', '=', place.identifier).executeTakeFirst();
  return row === undefined ? null : runnerOf(row);
}

/** In order of their names, from after `after` on. */
export async function listRunners(reader: Reader, accountId: string, scope: ScopePath, page: { readonly after: string; readonly limit: number }): Promise<Runner[]> {
  const rows = await reader.selectFrom('runner').selectAll()
    .where('account_id', '=', accountId).where('scope', '=', scope).where('state', '<>', 'removed').where('identifier', '>', page.after)
    .orderBy('identifier').limit(page.limit).execute();
  return rows.map(runnerOf);
}

/** Refuses a name that is or was another runner's. */
export async function insertRunner(tx: Tx, runner: Runner): Promise<void> {
  try {
    await tx.insertInto('runner').values({
      account_id: runner.accountId, id: runner.id, scope: runner.scope, identifier: runner.identifier, labels: JSON.stringify(runner.labels),
      signing_key: JSON.stringify(runner.signingKey), sealing_key: JSON.stringify(runner.sealingKey), state: runner.state,
      created_at: runner.createdAt, created_by: runner.createdBy, seen_at: runner.seenAt,
    }).execute();
  } catch (error) {
    if (violates(error, 'runner_account_id_scope_identifier_key')) throw nameTaken(runner.identifier);
    throw error;
  }
}

export function nameTaken(identifier: string): Error {
  return refusal('resource.identifier_retired', { say: `a runner \`${identifier}\` is or was here; choose another identifier, or leave it out` });
}

export async function changeRunner(tx: Tx, runner: Runner, change: { readonly state?: RunnerState; readonly labels?: readonly string[] }): Promise<void> {
  await tx.updateTable('runner')
    .set({ ...(change.state === undefined ? {} : { state: change.state }), ...(change.labels === undefined ? {} : { labels: JSON.stringify(change.labels) }) })
    .where('account_id', '=', runner.accountId).where('id', '=', runner.id).where('state', '<>', 'removed').execute();
}

/** Notes that it is there; at most one write in `seenEveryMs`. */
export async function markSeen(reader: Reader, runner: Runner, now: Date): Promise<void> {
  if (runner.seenAt !== null && now.getTime() - runner.seenAt.getTime() < seenEveryMs) return;
  await reader.updateTable('runner').set({ seen_at: now }).where('account_id', '=', runner.accountId).where('id', '=', runner.id).execute();
}

export async function insertRegistration(tx: Tx, registration: Registration & { readonly hash: Buffer }): Promise<void> {
  await tx.insertInto('runner_registration').values({
    account_id: registration.accountId, id: registration.id, hash: registration.hash, scope: registration.scope, identifier: registration.identifier,
    labels: JSON.stringify(registration.labels), created_at: registration.createdAt, created_by: registration.createdBy,
    made_with: registration.madeWith === null ? null : `${registration.madeWith.kind}:${registration.madeWith.id}`,
    expires_at: registration.expiresAt, revoked_at: null, runner_id: null,
  }).execute();
}

/** With `locked`, of two that bring the same token one waits and finds it used. */
export async function findRegistration(reader: Reader, accountId: string, hash: Buffer, { locked }: { readonly locked: boolean }): Promise<FoundRegistration | null> {
  const query = reader.selectFrom('runner_registration').selectAll().where('account_id', '=', accountId).where('hash', '=', hash);
  const row = await (locked ? query.forUpdate() : query).executeTakeFirst();
  if (row === undefined) return null;
  return {
    accountId: row.account_id, id: row.id, scope: row.scope, identifier: row.identifier, labels: row.labels as unknown as string[],
    createdAt: row.created_at, createdBy: row.created_by, madeWith: row.made_with === null ? null : credentialOf(row.made_with),
    expiresAt: row.expires_at, revoked: row.revoked_at !== null, runnerId: row.runner_id,
  };
}

function credentialOf(text: string): { kind: string; id: string } {
  const colon = text.indexOf(':');
  return { kind: text.slice(0, colon), id: text.slice(colon + 1) };
}

export async function useRegistration(tx: Tx, registration: Registration, runnerId: string): Promise<void> {
  await tx.updateTable('runner_registration').set({ runner_id: runnerId })
    .where('account_id', '=', registration.accountId).where('id', '=', registration.id).execute();
}

/** False when there is none to revoke in this scope: used ones are past it. */
export async function revokeRegistration(tx: Tx, place: { readonly accountId: string; readonly scope: ScopePath; readonly id: string }, now: Date): Promise<boolean> {
  const { numUpdatedRows } = await tx.updateTable('runner_registration').set({ revoked_at: now })
    .where('account_id', '=', place.accountId).where('scope', '=', place.scope).where('id', '=', place.id)
    .where('runner_id', 'is', null).where('revoked_at', 'is', null).executeTakeFirst();
  return numUpdatedRows === 1n;
}

/** Members in another order are the same key. */
export function sameKey(one: SigningJwk, other: SigningJwk): boolean {
  return canonicalJson(one) === canonicalJson(other);
}

interface Row {
  account_id: string; id: string; scope: string; identifier: string; labels: unknown; signing_key: unknown; sealing_key: unknown;
  state: RunnerState; created_at: Date; created_by: string; seen_at: Date | null;
}

function runnerOf(row: Row): Runner {
  return {
    accountId: row.account_id, id: row.id, scope: row.scope, identifier: row.identifier, labels: row.labels as string[],
    signingKey: row.signing_key as SigningJwk, sealingKey: row.sealing_key as SealingJwk, state: row.state,
    createdAt: row.created_at, createdBy: row.created_by, seenAt: row.seen_at,
  };
}
