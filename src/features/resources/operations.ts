/** The five operations of a kind, derived from its record. */
import { z } from 'zod';
import type { Caller } from '#kernel/caller.ts';
import { refusal } from '#kernel/errors.ts';
import type { AnyKind } from '#kernel/kind.ts';
import { collectionOf, manifestKind } from '#kernel/kind.ts';
import type { AnyOperation } from '#kernel/operation.ts';
import { Reply } from '#kernel/operation.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { Entry, World } from '#kernel/world.ts';
import { openedScope, opensScopes } from '#kernel/world.ts';
import type { Call } from '#platform/call.ts';
import { on, operation } from '#platform/call.ts';
import type { Clock } from '#platform/clock.ts';
import type { Cursors } from '#platform/http/cursor.ts';
import { page, pageOf } from '#platform/http/paged.ts';
import { refuseMissing, refuseQuestion } from '#platform/http/refuse.ts';
import type { ChangeServices } from './change.ts';
import { planCall, readyChange, writeChange } from './change.ts';
import { firstOf } from './ordered.ts';
import type { ChangePlan, ChangeRequest } from './plan.ts';
import { targetOf } from './plan.ts';
import { readDocuments } from './read-documents.ts';
import type { ResourceView, ScopeName } from './schema.ts';
import { identifier, manifestBody, resourceView, savedView, scopeName } from './schema.ts';
import { loadByUid } from './store.ts';
import { nameOf, viewOf, warningOf } from './view.ts';

export interface ResourceServices extends ChangeServices {
  readonly clock: Clock;
  readonly cursors: Cursors;
  /** Scopes whose names a caller may know, because something live of its own lies in them. */
  readonly visibleNames: (world: World, caller: Caller, now: Date) => ReadonlySet<ScopePath>;
}

const named = z.strictObject({ identifier });

/** A change notes its own audit row with the difference it makes, so none of these names a verb for one. */
function common(kind: AnyKind) {
  return { levels: kind.levels, dialect: 'api' as const, audit: null, collection: `{scope}/${collectionOf(kind.name)}`, title: manifestKind(kind.name) };
}

export function operationsOf(services: ResourceServices, kind: AnyKind): AnyOperation[] {
  return [listOf, getOf, createOf, updateOf, removeOf].map((make) => make(services, kind));
}

function listOf(services: ResourceServices, kind: AnyKind): AnyOperation {
  const { collection, title, ...shared } = common(kind);
  const item: z.ZodType<ResourceView | ScopeName> = opensScopes(kind.name) ? z.union([resourceView, scopeName]) : resourceView;
  return operation({
    ...shared,
    name: `${kind.name}.list`,
    summary: `Lists the ${title} resources of a scope that the caller may view${opensScopes(kind.name) ? ', and names those it has something in' : ''}`,
    method: 'GET',
    path: collection,
    input: { query: page },
    output: z.strictObject({ items: z.array(item), next: z.string().nullable() }),
    access: { shape: 'each', kind: kind.name },
    prepare: (call, { query }) => listPage(services, call, kind, query),
  });
}

function getOf(services: ResourceServices, kind: AnyKind): AnyOperation {
  const { collection, title, ...shared } = common(kind);
  return operation({
    ...shared,
    name: `${kind.name}.get`,
    summary: `Reads one ${title}`,
    method: 'GET',
    path: `${collection}/{identifier}`,
    input: { params: named },
    output: resourceView,
    access: on(`${kind.name}.view`, async (call: Call, { params }: { params: { identifier: string } }) => found(call, kind, params.identifier)),
    prepare: async (call, _input, entry: Entry) => replyWith(await loadView(services, call, entry.uid)),
  });
}

function createOf(services: ResourceServices, kind: AnyKind): AnyOperation {
  const { collection, title, ...shared } = common(kind);
  return operation({
    ...shared,
    name: `${kind.name}.create`,
    summary: `Creates a ${title}`,
    method: 'POST',
    path: collection,
    input: { body: manifestBody.extend({ identifier }) },
    output: savedView,
    access: {
      shape: 'plan',
      plan: async (call, { body }) => {
        if (!call.world.hasScope(call.scope)) throw refuseMissing(call, `${kind.name}.create`, body.identifier);
        refuseExisting(call, kind, body);
        return planCall(services, call, saveRequest(services, call, kind, body));
      },
    },
    prepare: (call, _input, plan: ChangePlan) => readyChange(services, call, plan),
    write: async (tx, call, _input, ready) => {
      await writeChange(services, tx, call, ready);
      return replyWith(await savedWith(services, tx, call, ready.plan), 201);
    },
  });
}

function updateOf(services: ResourceServices, kind: AnyKind): AnyOperation {
  const { collection, title, ...shared } = common(kind);
  return operation({
    ...shared,
    name: `${kind.name}.update`,
    summary: `Replaces the name, description, tags and spec of a ${title}`,
    method: 'PUT',
    versioned: true,
    path: `${collection}/{identifier}`,
    input: { params: named, body: manifestBody },
    output: savedView,
    access: {
      shape: 'plan',
      plan: async (call, { params, body }) => {
        const entry = visible(call, kind, params.identifier);
        matchVersion(call, entry);
        return planCall(services, call, saveRequest(services, call, kind, { ...body, identifier: params.identifier }));
      },
    },
    prepare: (call, _input, plan: ChangePlan) => readyChange(services, call, plan),
    write: async (tx, call, _input, ready) => {
      await writeChange(services, tx, call, ready);
      return replyWith(await savedWith(services, tx, call, ready.plan));
    },
  });
}

function removeOf(services: ResourceServices, kind: AnyKind): AnyOperation {
  const { collection, title, ...shared } = common(kind);
  return operation({
    ...shared,
    name: `${kind.name}.delete`,
    summary: `Deletes a ${title}; \`cascade\` also what is in it, and leaves references dangling`,
    method: 'DELETE',
    versioned: true,
    path: `${collection}/{identifier}`,
    input: { params: named, query: z.strictObject({ cascade: z.enum(['true', 'false']).default('false') }) },
    output: null,
    access: {
      shape: 'plan',
      plan: async (call, { params, query }) => {
        const entry = visible(call, kind, params.identifier);
        matchVersion(call, entry);
        return planCall(services, call, { saves: [], deletions: [{ index: 0, entry, cascade: query.cascade === 'true' }], set: null });
      },
    },
    prepare: (call, _input, plan: ChangePlan) => readyChange(services, call, plan),
    write: async (tx, call, _input, ready) => {
      await writeChange(services, tx, call, ready);
      return null;
    },
  });
}

async function listPage(services: ResourceServices, call: Call, kind: AnyKind, query: z.infer<typeof page>) {
  const isNamed = namesFor(services, call);
  const see = (entry: Entry): Seen | null => {
    if (call.decide({ permission: `${kind.name}.view`, target: targetOf(entry) }).allowed) return { entry, onlyName: false };
    return isNamed(entry) ? { entry, onlyName: true } : null;
  };
  const { items: seen, next } = await pageOf(services.cursors, call, {
    noun: kind.name, query,
    read: ({ after, limit }) => firstOf({ entries: () => call.world.list(kind.name, call.scope), keyOf: (entry) => entry.identifier, after, signal: call.signal }, limit, see),
    keyOf: ({ entry }) => entry.identifier,
  });
  const rows = await loadByUid(services.database.read, services.kinds, call.account.id, seen.flatMap(({ entry, onlyName }) => (onlyName ? [] : [entry.uid])));
  return { items: seen.flatMap(({ entry, onlyName }) => (onlyName ? [nameOf(entry)] : rows.has(entry.uid) ? [viewOf(rows.get(entry.uid)!)] : [])), next };
}

interface Seen {
  readonly entry: Entry;
  readonly onlyName: boolean;
}

/** Whether an entry opens a scope whose name the caller may know; worked out for the first entry that asks. */
function namesFor({ visibleNames }: ResourceServices, { world, caller, now }: Call): (entry: Entry) => boolean {
  let names: ReadonlySet<ScopePath> | undefined;
  return (entry) => {
    const opened = openedScope(entry);
    return opened !== undefined && (names ??= visibleNames(world, caller, now)).has(opened);
  };
}

function found(call: Call, kind: AnyKind, identifierText: string) {
  const entry = call.world.find(kind.name, call.scope, identifierText);
  return entry === undefined ? null : { target: targetOf(entry), found: entry };
}

/** The entry if the caller may view it; otherwise nothing may tell that it is there. */
function visible(call: Call, kind: AnyKind, identifierText: string): Entry {
  const permission = `${kind.name}.view`;
  const entry = call.world.find(kind.name, call.scope, identifierText);
  if (entry === undefined) throw refuseMissing(call, permission, identifierText);
  const question = { permission, target: targetOf(entry) };
  if (!call.decide(question).allowed) throw refuseQuestion(call, question);
  call.used(question);
  return entry;
}

/** Only one who may create it here learns that the name is taken. */
function refuseExisting(call: Call, kind: AnyKind, body: z.infer<typeof manifestBody> & { identifier: string }): void {
  const entry = call.world.find(kind.name, call.scope, body.identifier);
  if (entry === undefined) return;
  const question = { permission: `${kind.name}.create`, target: { ...targetOf(entry), tags: body.tags ?? {} } };
  if (call.decide(question).allowed) throw refusal('resource.exists', { say: `there is a ${manifestKind(kind.name)} \`${body.identifier}\`` });
  throw refuseQuestion(call, question);
}

function matchVersion(call: Call, entry: Entry): void {
  if (call.ifMatch !== null && call.ifMatch !== entry.version) throw refusal('resource.precondition');
}

function saveRequest(services: ResourceServices, call: Call, kind: AnyKind, body: z.infer<typeof manifestBody> & { identifier: string }): ChangeRequest {
  const { documents, errors } = readDocuments(services.kinds, [{ kind: manifestKind(kind.name), scope: call.scope, ...body }]);
  if (errors.length > 0) throw refusal('request.invalid', { errors: errors.map(({ document: _only, ...error }) => error) });
  return { saves: documents, deletions: [], set: null };
}

async function loadView(services: { kinds: ResourceServices['kinds']; database: ResourceServices['database']; reader?: ResourceServices['database']['read'] }, call: Call, uid: string): Promise<ResourceView> {
  const rows = await loadByUid(services.reader ?? services.database.read, services.kinds, call.account.id, [uid]);
  const row = rows.get(uid);
  if (row === undefined) throw refusal('access.not_found');
  return viewOf(row);
}

async function savedWith(services: ResourceServices, reader: ResourceServices['database']['read'], call: Call, plan: ChangePlan): Promise<z.infer<typeof savedView>> {
  const view = await loadView({ ...services, reader }, call, plan.changes[0]!.uid);
  return plan.warnings.length === 0 ? view : { ...view, warnings: plan.warnings.map(warningOf) };
}

function replyWith(view: ResourceView, status = 200): Reply {
  return new Reply(view, { status, headers: { etag: `"${view.version}"` } });
}
