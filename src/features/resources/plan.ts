/**
 * Plans a set of changes: what is created, updated, deleted or left alone; the world it leaves; and everything that must
 * be allowed for it. One path for `apply` and for the single create, update and delete.
 */
import type { Bound, Caller } from '#kernel/caller.ts';
import type { Check, FieldPlace, Target } from '#kernel/decision.ts';
import { assert, refusal } from '#kernel/errors.ts';
import type { FieldError } from '#kernel/errors.ts';
import type { Given, Kinds } from '#kernel/kind.ts';
import type { Entry, World, WorldChange } from '#kernel/world.ts';
import { entryPath, openedScope } from '#kernel/world.ts';
import type { FieldChange } from './diff.ts';
import { diffDocuments } from './diff.ts';
import type { ReadDocument, SecretField } from './read-documents.ts';
import type { BuiltIns } from './references.ts';
import { resolveReferences } from './references.ts';
import type { Document, StoredResource } from './schema.ts';
import { entryOf } from './store.ts';

/** Rules of the access engine that every change must pass; given by `app.ts`, since access comes later in rank. */
export interface ChangeRules {
  readonly builtIns: BuiltIns;
  /** What a change of a governed tag or attribute gives (CONTRACTS §5), also to the credential that makes it. */
  readonly governed: (before: Entry | null, after: Entry | null, worldAfter: World, bounds: Caller['bounds']) => readonly Given[];
  readonly lastAdminGone: (before: World, after: World, now: Date) => boolean;
}

export interface Deletion {
  readonly index: number;
  readonly entry: Entry;
  readonly cascade: boolean;
}

export interface ChangeRequest {
  readonly saves: readonly ReadDocument[];
  readonly deletions: readonly Deletion[];
  /** Name of the set these documents are applied under. */
  readonly set: string | null;
}

/** What has to be read before planning, which itself is synchronous: all of it at one revision. */
export interface Known {
  readonly revision: number;
  readonly stored: ReadonlyMap<string, StoredResource>;
  readonly referrers: readonly { readonly fromUid: string; readonly toUid: string }[];
  readonly retired: ReadonlySet<string>;
  /** `uid pointer` of secret values that differ from the stored ones, by keyed digest. */
  readonly changedSecrets: ReadonlySet<string>;
}

export interface PlannedChange {
  readonly action: 'create' | 'update' | 'delete' | 'unchanged';
  readonly uid: string;
  readonly index: number;
  readonly before: StoredResource | null;
  readonly after: (Document & { readonly refs: Readonly<Record<string, string>>; readonly version: number }) | null;
  readonly entryBefore: Entry | null;
  readonly entryAfter: Entry | null;
  readonly secrets: readonly SecretField[];
  readonly fields: readonly FieldChange[];
}

export interface ChangePlan {
  readonly changes: readonly PlannedChange[];
  readonly before: World;
  readonly after: World;
  readonly checks: readonly Check[];
  readonly set: string | null;
  /** What the caller should know and may do all the same. */
  readonly warnings: readonly FieldError[];
}

export interface Planning {
  readonly kinds: Kinds;
  readonly rules: ChangeRules;
  readonly world: World;
  readonly now: Date;
  readonly uid: () => string;
  /** Of the credential that asks for the change. */
  readonly bounds: Caller['bounds'];
  /** Names of others appear in errors only for those who may view them. */
  readonly mayView: (entry: Entry) => boolean;
  /** False for what a reference must not find, as if it were not there; absent = it finds everything. */
  readonly mayFind?: (entry: Entry) => boolean;
}

/** Synchronous, so that it sees one revision. Throws located refusals; decides no rights. */
export function planChanges(planning: Planning, request: ChangeRequest, known: Known): ChangePlan {
  const outcome = foresee(planning, request, known);
  return { ...outcome, checks: distinct(outcome.changes.flatMap((change) => checksOf(planning, change, outcome.after))) };
}

/** What the changes come to, for those who only want to know: as `planChanges`, without what must be allowed for it. */
export function foresee(planning: Planning, request: ChangeRequest, known: Known): Omit<ChangePlan, 'checks'> {
  const { kinds, world } = planning;
  const drafts = request.saves.map((document) => draft(planning, document, known));
  const removed = withContents(planning, request.deletions);
  const shells: WorldChange[] = [
    ...removed.map(({ entry }) => ({ remove: entry.uid })),
    // Entries without references first, so that documents of this call can refer to each other in any order.
    ...drafts.map(({ uid, document, version }) => ({ put: { ...shellOf(document), uid, version, attributes: {}, facts: undefined } })),
  ];
  const naming = world.overlay(shells);
  const saved = drafts.map((each) => resolve(planning, each, naming));
  failOn(saved.flatMap((each) => each.errors));
  const after = world.overlay([
    ...removed.map(({ entry }) => ({ remove: entry.uid })),
    ...saved.map((each) => ({ put: entryOf(kinds, { ...each.document, uid: each.uid, refs: each.refs, version: each.version }) })),
  ]);
  const found = saved.flatMap((each) => checkDraft(planning, each, after));
  failOn(found.filter(({ severity }) => severity === undefined));
  const warnings = warningsOf(planning, after, found);
  protectReferenced(planning, removed, new Set(saved.map((each) => each.uid)), known);
  const changes = [...removed.map((deletion) => plannedDeletion(deletion, known)), ...saved.map((each) => plannedSave(each, { before: world, after, known, set: request.set }))];
  if (planning.rules.lastAdminGone(world, after, planning.now)) throw refusal('access.last_admin');
  return { changes, before: world, after, warnings, set: request.set };
}

interface Drafted {
  readonly document: ReadDocument;
  readonly uid: string;
  readonly version: number;
  readonly stored: StoredResource | null;
}

interface Saved extends Drafted {
  readonly refs: Readonly<Record<string, string>>;
  readonly errors: readonly FieldError[];
}

function draft({ kinds, rules, world, uid }: Planning, document: ReadDocument, known: Known): Drafted {
  const entry = world.find(document.kind, document.scope, document.identifier);
  if (entry !== undefined) {
    const stored = known.stored.get(entry.uid);
    assert(stored?.version === entry.version, 'the world and the rows of one revision agree');
    return { document, uid: entry.uid, version: entry.version + 1, stored };
  }
  if (rules.builtIns(document.kind, document.identifier) !== undefined) {
    throw refusal('resource.built_in', { say: `\`${document.identifier}\` is built in; choose another identifier`, errors: [{ document: document.index, pointer: '/identifier', message: 'is built in' }] });
  }
  if (kinds.kinds.get(document.kind)!.retires === true && known.retired.has(`${document.kind} ${document.scope} ${document.identifier}`)) {
    throw refusal('resource.identifier_retired', { errors: [{ document: document.index, pointer: '/identifier', message: `\`${document.identifier}\` was used before` }] });
  }
  return { document, uid: uid(), version: 1, stored: null };
}

function shellOf(document: Document): Pick<Entry, 'kind' | 'scope' | 'identifier' | 'name' | 'tags'> {
  return { kind: document.kind, scope: document.scope, identifier: document.identifier, name: document.name, tags: document.tags };
}

function resolve({ kinds, rules, mayView, mayFind = () => true }: Planning, drafted: Drafted, naming: World): Saved {
  const { document } = drafted;
  const { refs, errors } = resolveReferences(kinds.kinds.get(document.kind)!, document, { after: naming, builtIns: rules.builtIns, mayView, mayFind });
  const scopeError = naming.hasScope(document.scope) ? [] : [{ pointer: '/scope', message: `the scope \`${document.scope}\` does not exist` }];
  return { ...drafted, refs, errors: [...scopeError, ...errors].map((error) => ({ ...error, document: document.index })) };
}

function checkDraft({ kinds }: Planning, saved: Saved, after: World): FieldError[] {
  const { document } = saved;
  const draft = { ...document, refs: (pointer: string) => saved.refs[pointer], isNew: saved.stored === null, secretsGiven: document.secrets.map((secret) => secret.pointer) };
  const errors = kinds.kinds.get(document.kind)!.check?.(draft, after) ?? [];
  return errors.map((error) => ({ ...error, pointer: error.pointer.startsWith('/tags') ? error.pointer : `/spec${error.pointer}`, document: document.index }));
}

const maxWarnings = 200;

/** What they mention, besides the document itself, is told to those who may view it. */
function warningsOf({ mayView }: Planning, after: World, found: readonly FieldError[]): FieldError[] {
  const isTold = (uid: string): boolean => {
    const entry = after.get(uid);
    return entry !== undefined && mayView(entry);
  };
  return found.filter(({ severity, mentions }) => severity === 'warning' && (mentions === undefined || isTold(mentions))).slice(0, maxWarnings);
}

function failOn(errors: readonly FieldError[]): void {
  if (errors.length > 0) throw refusal('request.invalid', { errors: errors.slice(0, 200) });
}

/** Deleting an org or project by cascade deletes all within; without it, contents protect it. */
function withContents({ world, mayView }: Planning, deletions: readonly Deletion[]): Deletion[] {
  const all = new Map(deletions.map((deletion) => [deletion.entry.uid, deletion]));
  for (const deletion of deletions) {
    const opened = openedScope(deletion.entry);
    if (opened === undefined) continue;
    const contents = [...world.within(opened)].filter((entry) => !all.has(entry.uid));
    if (contents.length > 0 && !deletion.cascade) throw referenced(deletion.entry, contents, 'contains', mayView);
    for (const entry of contents) all.set(entry.uid, { index: deletion.index, entry, cascade: true });
  }
  return [...all.values()];
}

function protectReferenced({ world, mayView }: Planning, removed: readonly Deletion[], saved: ReadonlySet<string>, known: Known): void {
  const gone = new Set(removed.map(({ entry }) => entry.uid));
  for (const { entry, cascade } of removed) {
    if (cascade) continue;
    const from = known.referrers.filter(({ toUid, fromUid }) => toUid === entry.uid && !gone.has(fromUid) && !saved.has(fromUid));
    if (from.length > 0) throw referenced(entry, from.flatMap(({ fromUid }) => world.get(fromUid) ?? []), 'is referred to by', mayView);
  }
}

function referenced(entry: Entry, others: readonly Entry[], verb: string, mayView: (entry: Entry) => boolean): Error {
  const named = others.filter(mayView).slice(0, 20);
  const rest = others.length - named.length;
  const list = named.map((other) => `${other.kind} \`${entryPath(other)}\``);
  const all = rest === 0 ? list : [...list, `${rest} ${list.length === 0 ? 'resources' : 'more'}`];
  return refusal('resource.referenced', { say: `${entry.kind} \`${entryPath(entry)}\` ${verb} ${all.join(', ')}` });
}

function plannedDeletion({ entry, index }: Deletion, known: Known): PlannedChange {
  const before = known.stored.get(entry.uid) ?? null;
  return { action: 'delete', uid: entry.uid, index, before, after: null, entryBefore: entry, entryAfter: null, secrets: [], fields: diffDocuments(before, null) };
}

interface SaveContext {
  readonly before: World;
  readonly after: World;
  readonly known: Known;
  readonly set: string | null;
}

function plannedSave(saved: Saved, { before, after, known, set }: SaveContext): PlannedChange {
  const { document, uid, stored, refs, version } = saved;
  const secrets = document.secrets.filter((secret) => stored === null || known.changedSecrets.has(`${uid} ${secret.pointer}`));
  const fields = [
    ...diffDocuments(stored, document),
    ...secrets.map((secret) => ({ pointer: `/spec${secret.pointer}`, after: '[secret]' })),
    ...setMove(stored, set),
  ];
  // The same words may mean another resource than before, when that one was deleted and made again.
  const moved = stored !== null && JSON.stringify(Object.entries(stored.refs).toSorted()) !== JSON.stringify(Object.entries(refs).toSorted());
  const action = stored === null ? 'create' : fields.length > 0 || moved ? 'update' : 'unchanged';
  return {
    action, uid, index: document.index, before: stored, after: { ...document, refs, version }, secrets, fields,
    entryBefore: before.get(uid) ?? null, entryAfter: after.get(uid)!,
  };
}

/** The set decides what `--prune` deletes, so moving a document into one is a change like any other. */
function setMove(stored: StoredResource | null, set: string | null): FieldChange[] {
  if (stored === null || set === null || stored.appliedSet === set) return [];
  return [{ pointer: '/set', ...(stored.appliedSet === null ? {} : { before: stored.appliedSet }), after: set }];
}

function checksOf({ kinds, rules, world, bounds }: Planning, change: PlannedChange, after: World): Check[] {
  const { entryBefore, entryAfter } = change;
  const kind = kinds.kinds.get((entryAfter ?? entryBefore)!.kind)!;
  const place = (pointer: string) => ({ document: change.index, pointer });
  const ask = (verb: string, entry: Entry, in_: 'before' | 'after'): Check => ({
    ask: 'permission', permission: `${kind.name}.${verb}`, target: targetOf(entry), world: in_, field: place(''),
  });
  // Whoever may not see it must not learn that this is what it says.
  if (change.action === 'unchanged') return [ask('view', entryBefore!, 'before')];
  const gives = kind.gives?.({ before: entryBefore, after: entryAfter, worldBefore: world, worldAfter: after }) ?? [];
  const governed = rules.governed(entryBefore, entryAfter, after, bounds);
  return [
    ...(change.action === 'create' ? [ask('create', entryAfter!, 'after')] : []),
    ...(change.action === 'update' ? [ask('edit', entryBefore!, 'before'), ask('edit', entryAfter!, 'after')] : []),
    ...(change.action === 'delete' ? [ask('delete', entryBefore!, 'before')] : []),
    ...(kind.administers === true || (kind.administers === 'by giving' && gives.length > 0) ? [{ ask: 'administer' as const, kind: kind.name, field: place('') }] : []),
    ...gives.map((given) => holdsCheck(given, place(given.pointer === undefined ? '' : `/spec${given.pointer}`))),
    ...governed.map((given) => holdsCheck(given, place(retags(entryBefore, entryAfter) ? '/tags' : '/spec'))),
  ];
}

function retags(before: Entry | null, after: Entry | null): boolean {
  return JSON.stringify(before?.tags ?? {}) !== JSON.stringify(after?.tags ?? {});
}

function holdsCheck({ bound, why, unless }: Given, field: FieldPlace): Check {
  return { ask: 'holds', given: bound, why, field, ...(unless === undefined ? {} : { unless }) };
}

const maxChecks = 50_000;

/** Many documents of a call may give the same; what one binding gives is one object and is asked once. */
function distinct(checks: readonly Check[]): Check[] {
  const asked = new Set<Bound>();
  const left = checks.filter((check) => {
    if (check.ask !== 'holds' || check.unless !== undefined) return true;
    if (asked.has(check.given)) return false;
    asked.add(check.given);
    return true;
  });
  if (left.length > maxChecks) throw refusal('request.too_large', { say: 'the change gives too much to be checked at once; split it' });
  return left;
}

export function targetOf(entry: Entry): Target {
  return { kind: entry.kind, scope: entry.scope, identifier: entry.identifier, tags: entry.tags, attributes: entry.attributes };
}
