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

/** A grant of a mapping, before anybody has come. */
export interface PossibleGrant {
  readonly grant: Grant;
  /** Its scope is in a claim: some who come have it. */
  readonly byClaim: boolean;
}

/** One resource as the grants of a mapping meet it. */
export interface MappingSide {
  readonly grants: readonly PossibleGrant[];
  /** Null = the resource is not there. */
  readonly asked: Asked | null;
}

/** What a mapping gives whom it matches; nobody comes by one whose issuer is gone. */
export function grantsOfMapping(world: World, mapping: Entry | null): readonly PossibleGrant[] {
  if (mapping === null) return [];
  const { issuerUid, allGrants, isByClaim } = mapping.facts as MappingFacts;
  if (world.get(issuerUid)?.kind !== 'trusted_issuer') return [];
  return allGrants().flatMap((written): PossibleGrant[] => {
    const grant = mappingGrant(world, mapping, written);
    return grant === null ? [] : [{ grant, byClaim: isByClaim?.(written) === true }];
  });
}

/** Those of some permissions on a resource that somebody with the right claims has at `to` and has not at `from`. */
export function gainedByMapping(from: MappingSide, to: MappingSide, permissions: readonly string[]): readonly string[] {
  const [had, has] = [reachesOf(from), reachesOf(to)];
  return permissions.filter((permission) => {
    const [before, after] = [givingOf(from, had, permission), givingOf(to, has, permission)];
    if (after.length === 0 || before.some(({ forAll }) => forAll)) return false;
    const known = new Set(before.flatMap(({ open }) => open.map(({ text }) => text)));
    const isMore = ({ text, selector }: Open): boolean => !known.has(text) || (selector !== null && widens(selector, from.asked!.target, to.asked!.target));
    return after.some(({ forAll, open }) => forAll || open.some(isMore));
  });
}

function givingOf({ asked }: MappingSide, reaches: readonly Reach[], permission: string): readonly Reach[] {
  const noun = asked?.noun;
  const isKnown = noun?.verbs.some((verb) => `${noun.name}.${verb}` === permission) === true;
  return isKnown ? reaches.filter(({ grant }) => grantHas(grant, permission, noun)) : [];
}

/** A grant that reaches the resource. */
interface Reach {
  readonly grant: Grant;
  /** By which it reaches it for some, at least. */
  readonly open: readonly Open[];
  readonly forAll: boolean;
}

interface Open {
  /** The same for those that say the same. */
  readonly text: string;
  /** Null = whatever lies there. */
  readonly selector: CompiledSelector | null;
}

function reachesOf({ grants, asked }: MappingSide): readonly Reach[] {
  if (asked === null) return [];
  const { target, places } = asked;
  return grants.flatMap(({ grant, byClaim }): Reach[] => {
    const met = grant.extents.filter((extent) => places.some((place) => inRange(extent, place)));
    const open = met.flatMap(({ resources }): Open[] => {
      if (resources === 'all') return [{ text: `${byClaim} all`, selector: null }];
      return resources.filter((selector) => couldMatch(selector, target)).map((selector) => ({ text: `${byClaim} ${textOf(selector)}`, selector }));
    });
    const forAll = !byClaim && open.some(({ selector }) => selector === null || matchesEverybody(selector, target));
    return open.length === 0 ? [] : [{ grant, open, forAll }];
  });
}

const texts = new WeakMap<CompiledSelector, string>();

function textOf(selector: CompiledSelector): string {
  let text = texts.get(selector);
  if (text === undefined) texts.set(selector, (text = JSON.stringify(selector.source)));
  return text;
}
