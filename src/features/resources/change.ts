/** Carries out planned changes: reads what planning needs, then writes rows, references, access changes and audit. */
import type { Caller } from '#kernel/caller.ts';
import type { Decision } from '#kernel/decision.ts';
import type { Act, Call } from '#platform/call.ts';
import type { Database, Tx } from '#platform/database/database.ts';
import { refuseQuestion } from '#platform/http/refuse.ts';
import type { Keyring } from '#platform/keyring.ts';
import { sql } from 'kysely';
import { refusal } from '#kernel/errors.ts';
import type { Kinds } from '#kernel/kind.ts';
import type { Plan } from '#kernel/operation.ts';
import { Rerun } from '#kernel/operation.ts';
import type { Entry, World } from '#kernel/world.ts';
import { entryPath, openedScope } from '#kernel/world.ts';
import { upwards } from '#kernel/scope.ts';
import { diffDocuments } from './diff.ts';
import type { ChangePlan, ChangeRequest, ChangeRules, Known, PlannedChange, Planning } from './plan.ts';
import { planChanges, targetOf } from './plan.ts';
import type { Snapshots, StoredChange } from './snapshots.ts';
import { accessChannel } from './snapshots.ts';
import { readDocuments } from './read-documents.ts';
import type { Manifest } from './schema.ts';
import type { ResourceRow } from './store.ts';
import { deleteRows, entryOf, loadByUid, referrers, retiredIdentifiers, saveRows } from './store.ts';

export interface ChangeServices {
  readonly database: Database;
  readonly kinds: Kinds;
  readonly keyring: Keyring;
  readonly snapshots: Snapshots;
  readonly rules: ChangeRules;
}

/** A planned change whose secret values are sealed: all that the write needs. */
export interface ReadyChange {
  readonly plan: ChangePlan;
  /** The revision decided on; the write refuses any other. */
  readonly revision: number;
  readonly sealed: readonly SealedValue[];
}

interface SealedValue {
  readonly uid: string;
  readonly pointer: string;
  readonly version: number;
  readonly sealed: Buffer;
  readonly digest: Buffer;
}

/** Reads what is needed and plans against the call's world. The answer fits the access shape `plan`. */
export async function planCall(services: ChangeServices, call: Call, request: ChangeRequest): Promise<Plan<ChangePlan>> {
  const known = await readKnown(services, call.world, request);
  // What was asked, what was read and what is decided on must be of one revision, and the world goes on meanwhile.
  if (known.revision !== call.revision || call.world.revision !== call.revision) throw new Rerun(Math.max(known.revision, call.world.revision));
  refuseOutsiders(services, call, request, known);
  const changed = await changedSecrets(services, call.world, request);
  if (call.world.revision !== call.revision) throw new Rerun(call.world.revision);
  const plan = planChanges(planningOf(services, call), request, { ...known, changedSecrets: changed });
  return { checks: plan.checks, before: plan.before, after: plan.after, found: plan };
}

/** What planning on the call's world takes. */
export function planningOf({ kinds, rules }: ChangeServices, call: Call): Planning {
  return {
    kinds, rules, world: call.world, now: call.now, uid: () => call.uid(), bounds: call.caller.bounds,
    mayView: (entry: Entry) => call.decide({ permission: `${entry.kind}.view`, target: targetOf(entry) }).allowed,
  };
}

/**
 * Planning costs time, and its faults tell about the world: it is for those who may make the change. Whoever may only
 * view a resource may send it as it is, without a secret value, which would be a guess that the answer confirms.
 */
function refuseOutsiders({ kinds }: ChangeServices, call: Call, request: ChangeRequest, known: Pick<Known, 'stored'>): void {
  const questions = [
    ...request.saves.map((document) => {
      const entry = call.world.find(document.kind, document.scope, document.identifier);
      if (entry !== undefined) {
        const same = document.secrets.length === 0 && diffDocuments(known.stored.get(entry.uid) ?? null, document).length === 0;
        const edit = { permission: `${document.kind}.edit`, target: targetOf(entry) };
        const view = { ...edit, permission: `${document.kind}.view` };
        return same && (call.decide(view).allowed || !call.decide(edit).allowed) ? view : edit;
      }
      // A scope made in this call counts as its nearest parent that is there already.
      const scope = upwards(document.scope).find((at) => call.world.hasScope(at))!;
      const shell = entryOf(kinds, { ...document, uid: '', refs: {}, version: 1 });
      return { permission: `${document.kind}.create`, target: { ...targetOf(shell), scope } };
    }),
    ...request.deletions.map(({ entry }) => ({ permission: `${entry.kind}.delete`, target: targetOf(entry) })),
  ];
  for (const question of questions) if (!call.decide(question).allowed) throw refuseQuestion(call, question);
  for (const question of questions) call.used(question);
}

export async function readKnown(services: ChangeServices, world: World, request: ChangeRequest): Promise<Omit<Known, 'changedSecrets'> & { readonly revision: number }> {
  const { kinds } = services;
  const { accountId } = world;
  const saved = request.saves.flatMap((document) => world.find(document.kind, document.scope, document.identifier)?.uid ?? []);
  const deleted = request.deletions.flatMap(({ entry }) => [entry.uid, ...within(world, entry)]);
  const created = request.saves.filter((document) => world.find(document.kind, document.scope, document.identifier) === undefined);
  return services.database.transaction(async (tx) => ({
    revision: (await tx.selectFrom('account').select('revision').where('id', '=', accountId).executeTakeFirstOrThrow()).revision,
    stored: await loadByUid(tx, kinds, accountId, [...saved, ...deleted]),
    referrers: await referrers(tx, accountId, deleted),
    retired: await retiredIdentifiers(tx, accountId, created.filter((document) => kinds.kinds.get(document.kind)!.retires === true)),
  }), { isolation: 'repeatable read' });
}

function within(world: World, entry: Entry): string[] {
  const opened = openedScope(entry);
  return opened === undefined ? [] : [...world.within(opened)].map((other) => other.uid);
}

async function changedSecrets({ database, keyring }: ChangeServices, world: World, request: ChangeRequest): Promise<Set<string>> {
  const changed = new Set<string>();
  for (const document of request.saves) {
    const uid = world.find(document.kind, document.scope, document.identifier)?.uid;
    if (uid === undefined) continue;
    for (const { pointer, value } of document.secrets) {
      const row = await database.read.selectFrom('secret_version').select('digest')
        .where('account_id', '=', world.accountId).where('resource_uid', '=', uid).where('pointer', '=', pointer)
        .orderBy('version', 'desc').limit(1).executeTakeFirst();
      if (row === undefined || !row.digest.equals(await keyring.digest(world.accountId, uid, value))) changed.add(`${uid} ${pointer}`);
    }
  }
  return changed;
}

/** Seals the new secret values; key work stays outside the transaction. */
export async function readyChange({ keyring }: ChangeServices, call: Call, plan: ChangePlan): Promise<ReadyChange> {
  const sealed: SealedValue[] = [];
  for (const change of plan.changes) {
    if (change.action === 'unchanged') continue;
    for (const { pointer, value } of change.secrets) {
      const { version } = change.after!;
      sealed.push({
        uid: change.uid, pointer, version,
        sealed: await keyring.seal(call.account.id, secretContext(change.uid, pointer, version), Buffer.from(value)),
        digest: await keyring.digest(call.account.id, change.uid, value),
      });
    }
  }
  return { plan, revision: plan.after.revision, sealed };
}

function secretContext(uid: string, pointer: string, version: number): string {
  return `secret:${uid}:${pointer}:${version}`;
}

/** The newest value of a secret field, opened. Only delivery to an attempt and outbound calls may ask. */
export async function openSecret(services: { database: Database; keyring: Keyring }, accountId: string, uid: string, pointer: string): Promise<string | null> {
  const row = await services.database.read.selectFrom('secret_version').select(['version', 'sealed'])
    .where('account_id', '=', accountId).where('resource_uid', '=', uid).where('pointer', '=', pointer)
    .orderBy('version', 'desc').limit(1).executeTakeFirst();
  if (row === undefined) return null;
  return (await services.keyring.open(accountId, secretContext(uid, pointer, row.version), row.sealed)).toString('utf8');
}

/** Writes the change and returns the new revision. Decided on another revision than the present one: `Rerun`. */
export async function writeChange(services: ChangeServices, tx: Tx, call: Call, ready: ReadyChange): Promise<number> {
  const changes = ready.plan.changes.filter((change) => change.action !== 'unchanged');
  if (changes.length === 0) return ready.revision;
  const accountId = call.account.id;
  const revision = await nextRevision(tx, accountId, ready.revision);
  const context = { kinds: services.kinds, plan: ready.plan, call, author: authorOf(call.caller) };
  const saves = changes.flatMap((change) => (change.after === null ? [] : [rowOf(change, context)]));
  const removed = changes.filter((change) => change.action === 'delete');
  await deleteRows(tx, accountId, removed.map((change) => change.uid));
  await retire(services, tx, call, removed);
  await saveRows(tx, saves);
  for (const value of ready.sealed) {
    const { uid, ...rest } = value;
    await tx.insertInto('secret_version').values({ account_id: accountId, resource_uid: uid, ...rest, created_at: call.now }).execute();
  }
  const stored: StoredChange[] = [...removed.map((change) => ({ remove: change.uid })), ...saves.map((row) => ({ put: row }))];
  await writeAccessChanges(tx, { accountId, revision, changes: stored, now: call.now });
  for (const change of changes) call.note(actOf(change));
  call.afterCommit(() => services.snapshots.committed(accountId, revision, stored));
  return revision;
}

/**
 * Locks the account's revision row, so that changes of access are decided one after another. Its key stays free: whatever
 * refers to the account, as starts and minted tokens do, goes on beside an apply.
 */
async function nextRevision(tx: Tx, accountId: string, decidedOn: number): Promise<number> {
  const { revision } = await tx.selectFrom('account').select('revision').where('id', '=', accountId).forNoKeyUpdate().executeTakeFirstOrThrow();
  if (revision !== decidedOn) throw new Rerun(revision);
  await tx.updateTable('account').set({ revision: revision + 1 }).where('id', '=', accountId).execute();
  return revision + 1;
}

async function writeAccessChanges(tx: Tx, entry: { accountId: string; revision: number; changes: readonly StoredChange[]; now: Date }): Promise<void> {
  for (let from = 0; from < entry.changes.length; from += 500) {
    const rows = entry.changes.slice(from, from + 500).map((change, i) => ({
      account_id: entry.accountId, revision: entry.revision, position: from + i, change: JSON.stringify(change), at: entry.now,
    }));
    await tx.insertInto('access_change').values(rows).execute();
  }
  await sql`select pg_notify(${accessChannel}, ${entry.accountId})`.execute(tx);
}

async function retire({ kinds }: ChangeServices, tx: Tx, call: Call, removed: readonly PlannedChange[]): Promise<void> {
  const rows = removed
    .map((change) => change.entryBefore!)
    .filter((entry) => kinds.kinds.get(entry.kind)!.retires === true)
    .map((entry) => ({ account_id: call.account.id, kind: entry.kind, scope: entry.scope, identifier: entry.identifier, uid: entry.uid, retired_at: call.now }));
  for (let from = 0; from < rows.length; from += 500) await tx.insertInto('retired_identifier').values(rows.slice(from, from + 500)).execute();
}

function rowOf(change: PlannedChange, context: { kinds: Kinds; plan: ChangePlan; call: Call; author: string }): ResourceRow {
  const { plan, call, author } = context;
  const after = change.after!;
  const { before } = change;
  const scopeUid = plan.after.scopeUid(after.scope);
  if (scopeUid === undefined) throw refusal('request.invalid', { because: 'the scope is gone' });
  return {
    account_id: call.account.id,
    uid: change.uid,
    kind: after.kind,
    scope_uid: scopeUid,
    scope: after.scope,
    identifier: after.identifier,
    name: after.name,
    description: after.description,
    tags: after.tags,
    spec: after.spec as object,
    spec_version: context.kinds.kinds.get(after.kind)!.version,
    refs: after.refs,
    version: after.version,
    applied_set: plan.set ?? before?.appliedSet ?? null,
    created_at: before?.createdAt ?? call.now,
    created_by: before?.createdBy ?? author,
    updated_at: call.now,
    updated_by: author,
  };
}

/** `user:alice`, `service_account:payments/ci`, `workload:…`. */
export function authorOf(caller: Caller): string {
  return `${caller.principal.type}:${caller.principal.path}`.slice(0, 512);
}

/** Plans manifests for the system itself, whose right to make them has been established otherwise. */
export async function changeAs(services: ChangeServices, call: Call, caller: Caller, manifests: readonly Manifest[]): Promise<ReadyChange> {
  const { documents, errors } = readDocuments(services.kinds, manifests);
  if (errors.length > 0) throw refusal('request.invalid', { errors });
  const own = actingAs(call, caller);
  const { found } = await planCall(services, own, { saves: documents, deletions: [], set: null });
  return readyChange(services, own, found);
}

export async function writeAs(services: ChangeServices, place: { readonly tx: Tx; readonly call: Call; readonly caller: Caller }, ready: ReadyChange): Promise<number> {
  return writeChange(services, place.tx, actingAs(place.call, place.caller), ready);
}

function actingAs(call: Call, caller: Caller): Call {
  const actor = { type: caller.principal.type, uid: caller.principal.uid, path: caller.principal.path };
  return Object.create(call, {
    caller: { value: caller },
    decide: { value: (): Decision => ({ allowed: true, reasons: [{ code: 'allowed' }], revision: call.world.revision }) },
    note: { value: (act: Act) => call.note({ actor, ...act }) },
  }) as Call;
}

function actOf(change: PlannedChange): Act {
  const entry = (change.entryAfter ?? change.entryBefore)!;
  return {
    action: `${entry.kind}.${change.action}`,
    scope: entry.scope,
    resource: { kind: entry.kind, uid: entry.uid, path: entryPath(entry) },
    diff: change.fields,
  };
}

