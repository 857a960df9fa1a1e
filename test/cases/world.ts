/**
 * Decision tables as data: a world in manifests, what happens to it later, questions and their expected answers. This
 * file reads and builds them; who answers (the engine, HTTP, explain) is the runner's business, so that all can agree.
 */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';
import { builtin } from '#features/access/feature.ts';
import type { Asker } from '#features/access/feature.ts';
import type { MappingFacts } from '#features/access/schema.ts';
import { selectorList } from '#features/access/schema.ts';
import { readDocuments } from '#features/resources/read-documents.ts';
import type { ReadDocument } from '#features/resources/read-documents.ts';
import { resolveReferences } from '#features/resources/references.ts';
import { manifest } from '#features/resources/schema.ts';
import type { Manifest } from '#features/resources/schema.ts';
import type { Bound, PrincipalType, WorkloadEvidence } from '#kernel/caller.ts';
import type { Question, Target } from '#kernel/decision.ts';
import type { FieldError } from '#kernel/errors.ts';
import type { Kinds } from '#kernel/kind.ts';
import { accountScope, contains, parseResourcePath, parseScope, resourcePath } from '#kernel/scope.ts';
import type { Entry } from '#kernel/world.ts';
import { openedScope, World } from '#kernel/world.ts';

export const accountId = 'account-of-the-tables';

const boundWords = z.strictObject({
  permissions: z.union([z.literal('all'), z.array(z.string())]),
  scope: z.string(),
  includeChildScopes: z.boolean().default(false),
  resources: z.union([z.literal('all'), selectorList]).default('all'),
});

const values = { tags: z.record(z.string(), z.string()).optional(), attributes: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional() };

const caseWords = z.strictObject({
  /** A sentence that names the guarantee. */
  it: z.string(),
  /** `user:alice`, `service_account:payments/ci`, `session:<name>`, `system:bootstrap`. */
  who: z.string(),
  /** Bounds of the credential; absent = as far as the principal reaches. */
  within: z.array(boundWords).optional(),
  may: z.string(),
  /** A resource of the permission's kind by path, `/` for the account, or of another kind. */
  on: z.union([z.string(), z.strictObject({ kind: z.string(), path: z.string() })]).optional(),
  /** A draft; without an identifier it has no name yet. */
  create: z.strictObject({ scope: z.string(), identifier: z.string().optional(), ...values }).optional(),
  /** A stored resource and its new values. */
  change: z.strictObject({ path: z.string(), ...values }).optional(),
  /** Path of the binding or mapping that allows; `through` are the groups on the way to it. */
  allowed: z.string().optional(),
  through: z.array(z.string()).optional(),
  /** Code of the nearest reason. */
  denied: z.string().optional(),
});
export type Case = z.infer<typeof caseWords>;

const fileWords = z.strictObject({
  about: z.string(),
  now: z.iso.datetime().default('2026-06-01T12:00:00Z'),
  world: z.array(manifest),
  /** Sessions are opened before what happens later. */
  sessions: z.record(z.string(), z.strictObject({ issuer: z.string(), claims: z.record(z.string(), z.unknown()) })).default({}),
  /** `again`: made after the deletions; an old name is then a new thing. */
  later: z
    .strictObject({ apply: z.array(manifest).default([]), delete: z.array(z.string()).default([]), again: z.array(manifest).default([]) })
    .default({ apply: [], delete: [], again: [] }),
  cases: z.array(caseWords).default([]),
  /** Documents that are refused at save, where and with which words. */
  refused: z.array(z.strictObject({ it: z.string(), apply: z.array(manifest), at: z.string(), says: z.string() })).default([]),
});
export type CaseFile = z.infer<typeof fileWords>;

type WorldOfCases = Pick<CaseFile, 'world' | 'sessions' | 'now'> & { readonly later: Omit<CaseFile['later'], 'again'> & { readonly again?: readonly Manifest[] } };

export interface BuiltWorld {
  readonly kinds: Kinds;
  readonly world: World;
  readonly now: Date;
  readonly sessions: ReadonlyMap<string, WorkloadEvidence>;
}

/** What a runner makes of an answer, in words of paths. */
export interface CaseAnswer {
  readonly allowed: boolean;
  readonly code: string;
  readonly via: string | null;
  readonly through: readonly string[];
}

export function readCaseFile(path: string): CaseFile {
  return fileWords.parse(parse(readFileSync(path, 'utf8')));
}

/** What has it at the end of its uid took over the name of something that is gone. */
const againMark = '#again';

/** Uids in tables are readable: `role:payments/deployer`. */
export function uidOf(kind: string, path: string): string {
  return `${kind}:${path}`;
}

/** The world of a file as it is when its questions are asked. Throws when a document of it is refused. */
export function buildWorld(file: WorldOfCases, kinds: Kinds): BuiltWorld {
  const world = new World(accountId, 1);
  world.apply(putsOf(world, kinds, file.world).map((put) => ({ put })), 2);
  const sessions = new Map(Object.entries(file.sessions).map(([name, session]) => [name, openSession(world, name, session)]));
  world.apply(putsOf(world, kinds, file.later.apply).map((put) => ({ put })), 3);
  world.apply(file.later.delete.flatMap((uid) => [uid, ...contentsOf(world, uid)]).map((remove) => ({ remove })), 4);
  world.apply(putsOf(world, kinds, file.later.again ?? [], againMark).map((put) => ({ put })), 5);
  return { kinds, world, now: new Date(file.now), sessions };
}

/** What lies in a scope goes with it. */
function contentsOf(world: World, uid: string): string[] {
  const entry = world.get(uid);
  const opened = entry === undefined ? undefined : openedScope(entry);
  return opened === undefined ? [] : [...world.all()].filter((other) => contains(opened, other.scope)).map((other) => other.uid);
}

/** Faults of documents against a world, as saving them would find them. */
export function faultsOf(world: World, kinds: Kinds, manifests: readonly Manifest[]): readonly FieldError[] {
  const { documents, errors } = readDocuments(kinds, manifests);
  if (errors.length > 0) return errors;
  const after = world.overlay(shellsOf(documents).map((put) => ({ put })));
  const resolved = documents.map((document) => resolve(after, kinds, document));
  const unresolved = resolved.flatMap((each) => each.errors);
  if (unresolved.length > 0) return unresolved;
  const left = world.overlay(documents.map((document, i) => ({ put: entryOf(kinds, document, resolved[i]!.refs) })));
  return documents.flatMap((document, i) => {
    const asNew = { isNew: world.find(document.kind, document.scope, document.identifier) === undefined, secretsGiven: [] };
    const faults = kinds.kinds.get(document.kind)!.check?.({ ...document, refs: (pointer) => resolved[i]!.refs[pointer], ...asNew }, left) ?? [];
    return faults.filter(({ severity }) => severity === undefined).map((fault) => ({ ...fault, pointer: `/spec${fault.pointer}` }));
  });
}

export function askerOf(built: BuiltWorld, asked: Pick<Case, 'who' | 'within'>): Asker {
  const bounds = asked.within === undefined ? 'principal' : asked.within.map(boundOf);
  const [type, path] = splitAt(asked.who, ':');
  if (type !== 'session') {
    const uid = type === 'system' ? path : uidOf(type, path);
    return { accountId, bounds, principal: { type: type as PrincipalType, uid, path } };
  }
  const workload = built.sessions.get(path);
  if (workload === undefined) throw new Error(`the file opens no session \`${path}\``);
  return { accountId, bounds, workload, principal: { type: 'workload', uid: `${workload.issuer} ${workload.subject}`, path } };
}

/** All must be allowed: a change is asked about before and after. */
export function questionsOf(built: BuiltWorld, asked: Case): readonly Question[] {
  const kind = asked.may.split('.')[0]!;
  return targetsOf(built.world, kind, asked).map((target) => ({ permission: asked.may, target }));
}

/** Path of an entry, whatever its kind; uids that name nothing are printed as they are. */
export function pathOfUid(uid: string): string {
  if (uid.startsWith('builtin:')) return uid.split(':')[2]!;
  return splitAt(uid, ':')[1].replace(againMark, '');
}

function targetsOf(world: World, kind: string, { on, create, change }: Case): Target[] {
  if (create !== undefined) {
    return [{ kind, scope: create.scope, identifier: create.identifier ?? null, tags: create.tags ?? {}, attributes: create.attributes ?? {} }];
  }
  if (change !== undefined) {
    const before = storedTarget(world, kind, change.path);
    return [before, { ...before, tags: change.tags ?? before.tags, attributes: change.attributes ?? before.attributes }];
  }
  if (on === undefined) throw new Error('a case asks `on`, `create` or `change`');
  return [typeof on === 'string' ? storedTarget(world, kind, on) : storedTarget(world, on.kind, on.path)];
}

/** What is not there is asked about as a thing without values. */
function storedTarget(world: World, kind: string, path: string): Target {
  if (kind === 'account') return { kind, scope: accountScope, identifier: 'default', tags: {}, attributes: {} };
  const place = parseResourcePath(path);
  if (place === null) throw new Error(`\`${path}\` is no path`);
  const entry = world.find(kind, place.scope, place.identifier);
  return { kind, ...place, tags: entry?.tags ?? {}, attributes: entry?.attributes ?? {} };
}

export function boundOf(words: z.infer<typeof boundWords>): Bound {
  const { permissions, scope, includeChildScopes, resources } = words;
  return { permissions, extent: { scope: parseScope(scope) ?? scope, includeChildScopes, resources } };
}

function openSession(world: World, name: string, session: CaseFile['sessions'][string]): WorkloadEvidence {
  const issuerUid = uidOf('trusted_issuer', session.issuer);
  const mappings = [...world.list('claim_mapping')].flatMap((mapping) => {
    const facts = mapping.facts as MappingFacts;
    const grants = facts.issuerUid === issuerUid ? facts.grantsFor(session.claims) : [];
    return grants.length === 0 ? [] : [{ mappingUid: mapping.uid, version: mapping.version, grants }];
  });
  return { sessionId: name, issuerUid, issuer: session.issuer, subject: name, claims: session.claims, mappings };
}

/** Entries of documents that may refer to each other in any order. */
export function putsOf(world: World, kinds: Kinds, manifests: readonly Manifest[], mark = ''): Entry[] {
  const { documents, errors } = readDocuments(kinds, manifests);
  if (errors.length > 0) throw new Error(`the file's world is refused: ${JSON.stringify(errors)}`);
  const after = world.overlay(shellsOf(documents, mark).map((put) => ({ put })));
  return documents.map((document) => {
    const { refs, errors } = resolve(after, kinds, document);
    // What cannot be saved could still have come in, and is to give nothing.
    const faults = errors.filter(({ message }) => !message.includes('does not lie at or below'));
    if (faults.length > 0) throw new Error(`\`${document.kind}\` \`${document.identifier}\`: ${JSON.stringify(faults)}`);
    return entryOf(kinds, document, refs, mark);
  });
}

function resolve(after: World, kinds: Kinds, document: ReadDocument) {
  return resolveReferences(kinds.kinds.get(document.kind)!, document, { after, builtIns: (kind, name) => builtin(kind, name)?.uid, mayView: () => true });
}

function shellsOf(documents: readonly ReadDocument[], mark = ''): Entry[] {
  return documents.map(({ kind, scope, identifier, name, tags }) => {
    return { uid: uidOf(kind, resourcePath(scope, identifier)) + mark, kind, scope, identifier, name, version: 1, tags, attributes: {}, facts: undefined };
  });
}

function entryOf(kinds: Kinds, document: ReadDocument, refs: Readonly<Record<string, string>>, mark = ''): Entry {
  const kind = kinds.kinds.get(document.kind)!;
  const [shell] = shellsOf([document], mark);
  const attributes = Object.fromEntries(Object.entries(kind.attributes ?? {}).map(([name, read]) => [name, read(document.spec)]));
  return { ...shell!, attributes, facts: kind.facts?.({ ...document, refs: (pointer) => refs[pointer] }) };
}

function splitAt(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark);
  return [text.slice(0, at), text.slice(at + 1)];
}
