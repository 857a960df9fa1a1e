/**
 * Who gains and who loses what when a world becomes another. Each principal the change reaches is asked about each
 * resource on which its answers can differ, on both sides; page by page, and a page ends early when it took long.
 */
import type { DifferingRange, WorldChanged } from '#features/access/feature.ts';
import type { ClaimMappingFacts, IssuerFacts } from '#features/trust/schema.ts';
import { canonicalJson } from '#kernel/canonical.ts';
import type { Kinds } from '#kernel/kind.ts';
import { accountScope } from '#kernel/scope.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { Entry, World } from '#kernel/world.ts';
import type { TwoTargets } from './changed-resources.ts';
import type { NamedTarget } from './resources-in-order.ts';
import { isPassed, keyIn, partsWithin, resourcesOf } from './resources-in-order.ts';
import type { PersonType } from './people-in-order.ts';
import type { Differences, Subject } from './subjects-of-change.ts';
import { SubjectsOfChange } from './subjects-of-change.ts';
import type { FoundResource } from './what-can.ts';

/** How a token must be used for somebody to come by a mapping. */
type Uses = ClaimMappingFacts['use'];

/** What its claims must be besides, and what they decide. */
export interface Terms extends Uses {
  readonly issuer: string;
  readonly when: ClaimMappingFacts['spec']['when'];
  readonly condition: string | null;
  /** As written, where one of them takes its scope from a claim: then claims decide who has which. */
  readonly grants: ClaimMappingFacts['spec']['grants'];
  /** Whoever comes may change trust and access, as far as its grants go. */
  readonly mayAdminister: boolean;
}

interface Changes {
  gains: FoundResource[];
  loses: FoundResource[];
}

interface ChangedPerson extends Readonly<Changes> {
  readonly type: PersonType;
  readonly path: string;
}

interface ChangedWorkload extends Readonly<Changes> {
  readonly type: 'workload';
  /** Of the mapping. */
  readonly path: string;
  readonly issuer: string;
  readonly when: Terms['when'];
  readonly conditionChanged?: { readonly before: Terms; readonly after: Terms };
  readonly issuerChanged?: true;
}

interface Wanted {
  /** Where the page before ended; null = from the start. */
  readonly after: string | null;
  /** So many resources, of all principals together. */
  readonly limit: number;
  readonly bounds?: WorkBounds;
}

export interface WorkBounds {
  /** In looks at somebody whom the change does not reach. */
  readonly maxWork: number;
  /** So many people are looked up one by one; of more, the ordered list is walked until the page is full. */
  readonly maxGathered: number;
}

export interface ChangePage {
  readonly items: readonly (ChangedPerson | ChangedWorkload)[];
  readonly next: string | null;
}

/** Of one page: done in some hundredths of a second. */
const usualBounds: WorkBounds = { maxWork: 4_000, maxGathered: 2_000 };
const work = { subject: 20, resource: 4, scope: 2, grantsPerLook: 25 } as const;

export function whatWouldChange(change: WorldChanged, { after, limit, bounds = usualBounds }: Wanted): ChangePage {
  const { maxWork, maxGathered } = bounds;
  const subjects = new SubjectsOfChange(change, maxGathered);
  const byScope = Map.groupBy(subjects.resources, ({ scope }) => scope);
  const from = after === null ? null : positionOf(after);
  const items: (ChangedPerson | ChangedWorkload)[] = [];
  let [spent, told] = [0, 0];
  let last = after;
  for (const subject of subjects.inOrder(from === null ? null : { key: from.subject, isIncluded: from.resource !== null })) {
    if (spent >= maxWork || told >= limit) return { items, next: last };
    spent += 1;
    last = subject.key;
    const comparison = subject.compare?.();
    if (comparison === undefined) continue;
    const { compared, differences } = comparison;
    const begun = from !== null && from.subject === subject.key ? from.resource : null;
    const costOfLook = work.resource + Math.ceil(compared.grants / work.grantsPerLook);
    spent += work.subject + costOfLook;
    const terms = begun === null ? termsChanged(change, subject) : {};
    const found: Changes = { gains: [], loses: [] };
    const isTold = (): boolean => found.gains.length + found.loses.length + Object.keys(terms).length > 0;
    told += Object.keys(terms).length > 0 ? 1 : 0;
    let reached = Object.keys(terms).length > 0 ? '' : null;
    for (const step of stepsOf(change, { byScope, ranges: compared.ranges, after: begun })) {
      if (reached !== null && (spent >= maxWork || told >= limit)) {
        if (isTold()) items.push(itemOf(change, subject, found, terms));
        return { items, next: `${subject.key}\n${reached}` };
      }
      reached = step.key;
      spent += step.resource === null ? work.scope : costOfLook;
      if (step.resource !== null && note(found, step.resource, differences(step.resource, step.permissions))) told += 1;
    }
    if (isTold()) items.push(itemOf(change, subject, found, terms));
  }
  return { items, next: null };
}

/** `user:alice` = behind alice; with a line of its own, behind that resource of hers. */
function positionOf(text: string): { readonly subject: string; readonly resource: string | null } {
  const end = text.indexOf('\n');
  return end < 0 ? { subject: text, resource: null } : { subject: text.slice(0, end), resource: text.slice(end + 1) };
}

interface Step {
  readonly key: string;
  /** Null = the end of a scope. */
  readonly resource: TwoTargets | null;
  /** Those that can differ. */
  readonly permissions: readonly string[];
}

/** The resources on which the answers about a subject can differ: what lies where its rights do, and what the change itself changes. */
function* stepsOf({ before, after: world, kinds }: WorldChanged, { byScope, ranges, after }: {
  readonly byScope: ReadonlyMap<ScopePath, readonly TwoTargets[]>;
  readonly ranges: readonly DifferingRange[];
  readonly after: string | null;
}): Generator<Step> {
  const parts = new Map(partsWithin(before, ranges, accountScope));
  const words = [kinds.of(before), kinds.of(world)];
  const differing = new Set(ranges.flatMap(({ permissions }) => [...permissions]));
  const ofKind = new Map([...words[0]!.nouns.keys()].map((kind) => [kind, everyPermission(kind, words).filter((permission) => differing.has(permission))]));
  // No identifier sorts before `/`, so texts of scopes stand in the order of their resources' keys.
  for (const scope of [...new Set([...parts.keys(), ...byScope.keys()])].toSorted()) {
    if (after !== null && isPassed(scope, after)) continue;
    const changed = byScope.get(scope) ?? [];
    const part = parts.get(scope);
    const staying = part === undefined ? [] : resourcesOf(before, kinds, { scope, part, isWanted: (kind) => ofKind.get(kind)!.length > 0 });
    for (const resource of together(scope, changed, staying)) {
      if (after !== null && resource.key <= after) continue;
      const isStaying = resource.before !== null && resource.before === resource.after;
      yield { key: resource.key, resource, permissions: isStaying ? ofKind.get(resource.kind)! : everyPermission(resource.kind, words) };
    }
    yield { key: `${scope}\n\uffff`, resource: null, permissions: [] };
  }
}

/** In the order of the verbs; of a kind that becomes another, those of both sides. */
function everyPermission(kind: string, words: readonly Kinds[]): readonly string[] {
  return [...new Set(words.flatMap(({ nouns }) => nouns.get(kind)?.verbs ?? []))].map((verb) => `${kind}.${verb}`);
}

/** What changes, and of the rest what stays as it is. */
function together(scope: ScopePath, changed: readonly TwoTargets[], staying: readonly NamedTarget[]): readonly TwoTargets[] {
  if (staying.length === 0) return changed;
  const keys = new Set(changed.map(({ key }) => key));
  const others = staying.map(({ id, target }): TwoTargets => ({ key: keyIn(scope, target.kind, id), kind: target.kind, id, scope, before: target, after: target }));
  return [...changed, ...others.filter(({ key }) => !keys.has(key))].toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

/** True when there is something to tell. */
function note(found: Changes, { kind, id, scope }: TwoTargets, { gains, loses }: Differences): boolean {
  if (gains.length > 0) found.gains.push({ kind, id, scope, permissions: gains });
  if (loses.length > 0) found.loses.push({ kind, id, scope, permissions: loses });
  return gains.length + loses.length > 0;
}

type TermsChanged = Pick<ChangedWorkload, 'conditionChanged' | 'issuerChanged'>;

function itemOf({ before, after }: WorldChanged, subject: Subject, found: Changes, terms: TermsChanged): ChangedPerson | ChangedWorkload {
  const { type, path } = subject;
  if (type !== 'workload') return { type, path, ...found };
  const { issuer, when } = subject.after === null ? termsOf(before, subject.before!) : termsOf(after, subject.after);
  return { type, path, issuer: issuer === '' ? issuerOf(before, subject.before) : issuer, when, ...terms, ...found };
}

/** Of a mapping on both sides: whether others could come by it, come otherwise, or come to other scopes. */
function termsChanged(change: WorldChanged, { type, before, after }: Subject): TermsChanged {
  if (type !== 'workload' || before === null || after === null) return {};
  const [had, has] = [termsOf(change.before, before), termsOf(change.after, after)];
  const isSame = before === after || canonicalJson(had) === canonicalJson(has);
  return {
    ...(isSame || has.issuer === '' ? {} : { conditionChanged: { before: had, after: has } }),
    ...(isSameIssuer(change, before, after) ? {} : { issuerChanged: true }),
  };
}

function termsOf(world: World, mapping: Entry): Terms {
  const { issuerUid, spec, use } = mapping.facts as ClaimMappingFacts;
  const isByClaim = spec.grants.some(({ scope }) => typeof scope !== 'string');
  return {
    issuer: world.get(issuerUid)?.identifier ?? '', when: spec.when, condition: spec.condition ?? null, grants: isByClaim ? spec.grants : [],
    ...use, mayAdminister: spec.mayAdminister === true,
  };
}

function issuerOf(world: World, mapping: Entry | null): string {
  return mapping === null ? '' : termsOf(world, mapping).issuer;
}

/** False when the issuer is there on both sides and its document says something else of the tokens it takes. */
function isSameIssuer(change: WorldChanged, before: Entry, after: Entry): boolean {
  const [had, has] = [change.before.get((before.facts as ClaimMappingFacts).issuerUid), change.after.get((after.facts as ClaimMappingFacts).issuerUid)];
  if (had === has || had === undefined || has === undefined || had.uid !== has.uid) return true;
  return canonicalJson((had.facts as IssuerFacts).spec) === canonicalJson((has.facts as IssuerFacts).spec);
}
