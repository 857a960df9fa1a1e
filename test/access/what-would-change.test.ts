/** What would change against asking everybody about everything before and after: random accounts, random changes, pages of every size. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { evaluate } from '#features/access/feature.ts';
import type { Asker, WorldChanged } from '#features/access/feature.ts';
import type { MappingFacts } from '#features/access/schema.ts';
import type { ChangePage, WorkBounds } from '#features/questions/what-would-change.ts';
import { whatWouldChange } from '#features/questions/what-would-change.ts';
import type { ClaimMappingFacts } from '#features/trust/schema.ts';
import type { Entry, World } from '#kernel/world.ts';
import { entryPath } from '#kernel/world.ts';
import { createKinds } from '../../src/app.ts';
import { runs } from '../mode.ts';
import { seed } from '../seed.ts';
import { everything, people } from './everything.ts';
import { History } from './history.ts';
import { claimSets } from './random-world.ts';
import { Random } from './random.ts';

const kinds = createKinds();
const now = new Date('2026-06-01T12:00:00Z');
type Item = ChangePage['items'][number];

it(`what would change is what differs when everybody is asked about everything, and no more (seed ${seed})`, () => {
  let found = 0;
  let ofWorkloads = 0;
  const rounds = runs(40, 1_500);
  for (let round = 0; round < rounds; round++) {
    const history = new History(kinds, new Random(seed + round * 7_919));
    const before = history.world;
    const after = before.overlay(history.change(1 + history.random.whole(4)));
    const change = { before, after, kinds, now };
    const label = `seed ${seed}, round ${round}`;
    const whole = toldIn(change, { limit: 1_000_000 });
    const told = whole.flatMap((item) => (item.type === 'workload' ? [] : linesOf(item)));
    assert.deepEqual(told.toSorted(), expectedOf(before, after), label);
    assert.deepEqual(gathered(toldIn(change, { limit: 1 + history.random.whole(5), bounds: { maxWork: history.random.pick([1, 100, 4_000]), maxGathered: history.random.pick([0, 3, 2_000]) } })), gathered(whole), `${label}: in pages`);
    ofWorkloads += checkWorkloads(change, whole, label);
    found += told.length;
  }
  assert.ok(found > rounds, `only ${found} were found`);
  assert.ok(ofWorkloads > 0, 'no workload gained or lost anything');
});

/** All pages; none tells more than it may. */
function toldIn(change: WorldChanged, wanted: { readonly limit: number; readonly bounds?: WorkBounds }): Item[] {
  const items: Item[] = [];
  for (let after: string | null | undefined; after !== null; ) {
    const page = whatWouldChange(change, { ...wanted, after: after ?? null });
    const resources = page.items.flatMap(({ path, type, gains, loses }) => [...gains, ...loses].map(({ kind, id, scope }) => [type, path, kind, id, scope].join('\n')));
    assert.ok(new Set(resources).size <= wanted.limit);
    assert.notEqual(page.next, after, 'a page goes on');
    items.push(...page.items);
    after = page.next;
  }
  return items;
}

/** Parts of one principal that stood on several pages, put together. */
function gathered(items: readonly Item[]): string[] {
  const conditions = items.flatMap((item) => (item.type === 'workload' && (item.conditionChanged ?? item.issuerChanged) !== undefined ? [`${item.path}: ${JSON.stringify([item.conditionChanged, item.issuerChanged])}`] : []));
  return [...items.flatMap(linesOf), ...conditions].toSorted();
}

function linesOf({ type, path, gains, loses }: Item): string[] {
  return [['+', gains] as const, ['-', loses] as const].flatMap(([sign, changes]) => changes.flatMap(({ kind, id, scope, permissions }) => (
    permissions.map((permission) => lineOf(`${type}:${path}`, sign, permission, { kind, id, scope }))
  )));
}

function lineOf(who: string, sign: string, permission: string, { kind, id, scope }: { readonly kind: string; readonly id: string; readonly scope: string }): string {
  return `${who} ${sign} ${permission} on ${kind} ${id} in ${scope}`;
}

/** Permission by permission: whom is allowed what in a world. */
function allowed(world: World, askers: readonly { readonly name: string; readonly asker: Asker }[]): Set<string> {
  const words = kinds.of(world);
  return new Set(everything(world, kinds).flatMap(({ id, target }) => (words.nouns.get(target.kind)?.verbs ?? []).flatMap((verb) => {
    const permission = `${target.kind}.${verb}`;
    const may = askers.filter(({ asker }) => evaluate(world, kinds, asker, { permission, target }, now).allowed);
    return may.map(({ name }) => lineOf(name, '+', permission, { kind: target.kind, id, scope: target.scope }));
  })));
}

function difference(before: ReadonlySet<string>, after: ReadonlySet<string>): string[] {
  const gains = [...after].filter((line) => !before.has(line));
  return [...gains, ...[...before].filter((line) => !after.has(line)).map((line) => line.replace(' + ', ' - '))].toSorted();
}

function expectedOf(before: World, after: World): string[] {
  const named = (world: World) => people(world).map((asker) => ({ name: `${asker.principal.type}:${asker.principal.path}`, asker }));
  return difference(allowed(before, named(before)), allowed(after, named(after)));
}

/**
 * Whatever a workload with some claims gains or loses by a mapping is told of the mapping, unless its conditions are others.
 * Where a claim picks one of several scopes the mapping is told as all its workloads together: what one of them loses and
 * another keeps is not told.
 */
function checkWorkloads({ before, after }: WorldChanged, items: readonly Item[], label: string): number {
  const told = new Set(items.flatMap((item) => (item.type === 'workload' ? linesOf(item) : [])));
  const isOther = new Set([
    ...items.flatMap((item) => (item.type === 'workload' && item.conditionChanged !== undefined ? [item.path] : [])),
    ...[before, after].flatMap((world) => [...world.list('claim_mapping')].filter(picksScopes).map(entryPath)),
  ]);
  const missed = claimSets.flatMap((claims) => difference(allowed(before, comingBy(before, claims)), allowed(after, comingBy(after, claims))))
    .filter((line) => !told.has(line) && !isOther.has(line.slice('workload:'.length, line.search(/ [+-] /))));
  assert.deepEqual(missed, [], `${label}: of workloads`);
  return told.size;
}

function picksScopes({ facts }: Entry): boolean {
  const { spec } = facts as ClaimMappingFacts;
  return spec.grants.some(({ scope }) => typeof scope === 'object' && (scope.map === undefined || new Set(Object.values(scope.map)).size > 1));
}

/** One session for each mapping that matches, made in this world. */
function comingBy(world: World, claims: Readonly<Record<string, unknown>>): { name: string; asker: Asker }[] {
  return [...world.list('claim_mapping')].flatMap((mapping) => {
    const { issuerUid, grantsFor } = mapping.facts as MappingFacts;
    const grants = grantsFor(claims);
    if (grants.length === 0) return [];
    const mappings = [{ mappingUid: mapping.uid, version: mapping.version, grants }];
    const workload = { sessionId: 's', issuerUid, issuer: 'https://issuer.example', subject: 'core', claims, mappings };
    const asker: Asker = { accountId: world.accountId, principal: { type: 'workload', uid: 'w', path: 'w' }, bounds: 'principal', workload };
    return [{ name: `workload:${entryPath(mapping)}`, asker }];
  });
}
