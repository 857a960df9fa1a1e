/**
 * What whoever comes by a claim mapping may do, before anybody has come. Nobody's claims are known, so a condition that
 * compares them stays open: where it is another, or compares another value, some who come gain and others lose.
 */
import type { Entry, World } from '#kernel/world.ts';
import type { Asked } from './change-reach.ts';
import { inRange } from './extent.ts';
import type { Grant } from './grants.ts';
import { grantHas, mappingGrant } from './grants.ts';
import type { MappingFacts } from './schema.ts';
import type { CompiledSelector } from './selector.ts';
import { couldMatch, matchesEverybody, widens } from './selector.ts';

/** One resource as the grants of a mapping meet it. */
export interface MappingSide {
  readonly grants: readonly Grant[];
  /** Null = the resource is not there. */
  readonly asked: Asked | null;
}

/** What a mapping gives whom it matches; nobody comes by one whose issuer is gone. */
export function grantsOfMapping(world: World, mapping: Entry | null): readonly Grant[] {
  if (mapping === null) return [];
  const { issuerUid, allGrants } = mapping.facts as MappingFacts;
  if (world.get(issuerUid)?.kind !== 'trusted_issuer') return [];
  return allGrants().flatMap((grant) => mappingGrant(world, mapping, grant) ?? []);
}

/** Permissions on a resource that somebody with the right claims has at `to` and has not at `from`. */
export function gainedByMapping(from: MappingSide, to: MappingSide): readonly string[] {
  const { asked } = to;
  if (asked?.noun === undefined) return [];
  const { noun } = asked;
  const [had, has] = [reachesOf(from), reachesOf(to)];
  return noun.verbs.map((verb) => `${noun.name}.${verb}`).filter((permission) => {
    const gives = ({ grant }: Reach): boolean => grantHas(grant, permission, noun);
    const wasKnown = from.asked?.noun?.verbs.some((verb) => `${noun.name}.${verb}` === permission) === true;
    const [before, after] = [wasKnown ? had.filter(gives) : [], has.filter(gives)];
    if (after.length === 0 || before.some(({ forAll }) => forAll)) return false;
    const known = new Set(before.flatMap(({ open }) => open.map(textOf)));
    return after.some(({ forAll, open }) => forAll || open.some((selector) => !known.has(textOf(selector)) || widens(selector, from.asked!.target, asked.target)));
  });
}

/** A grant that reaches the resource. */
interface Reach {
  readonly grant: Grant;
  /** Selectors that match for some, at least. */
  readonly open: readonly CompiledSelector[];
  readonly forAll: boolean;
}

function reachesOf({ grants, asked }: MappingSide): readonly Reach[] {
  if (asked === null) return [];
  const { target, places } = asked;
  return grants.flatMap((grant): Reach[] => {
    const met = grant.extents.filter((extent) => places.some((place) => inRange(extent, place)));
    if (met.some(({ resources }) => resources === 'all')) return [{ grant, open: [], forAll: true }];
    const open = met.flatMap(({ resources }) => (resources === 'all' ? [] : resources.filter((selector) => couldMatch(selector, target))));
    return open.length === 0 ? [] : [{ grant, open, forAll: open.some((selector) => matchesEverybody(selector, target)) }];
  });
}

const texts = new WeakMap<CompiledSelector, string>();

function textOf(selector: CompiledSelector): string {
  let text = texts.get(selector);
  if (text === undefined) texts.set(selector, (text = JSON.stringify(selector.source)));
  return text;
}
