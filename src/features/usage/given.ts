/** What bindings and mappings give, one after the other in a fixed order, with those whose use of it counts. */
import { givenNowByBinding, givenNowByMapping, membersNow } from '#features/access/feature.ts';
import type { GivenNow } from '#features/access/feature.ts';
import type { BindingFacts, Subject } from '#features/access/schema.ts';
import { firstOf, ofKindWithin, targetOf } from '#features/resources/feature.ts';
import type { Kinds } from '#kernel/kind.ts';
import { parseResourcePath } from '#kernel/scope.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { Entry, World } from '#kernel/world.ts';
import { entryPath } from '#kernel/world.ts';
import type { Call } from '#platform/call.ts';

export interface Given extends GivenNow {
  /** Where a page goes on behind it. */
  readonly key: string;
  readonly type: 'role_binding' | 'claim_mapping';
  readonly entry: Entry;
  /** Of a binding; null for a mapping, whose sessions are nobody before they come. */
  readonly principal: Subject | null;
  /** Uids under which its use is recorded. */
  readonly subjects: readonly string[];
}

const types = ['role_binding', 'claim_mapping'] as const;

/** The next ones at or below a scope that the caller may view and that give something; bindings first, each by its path. */
export async function givenAfter(call: Call, kinds: Kinds, { within, after, limit }: { readonly within: ScopePath; readonly after: string | null; readonly limit: number }): Promise<readonly Given[]> {
  const start = after === null ? null : readKey(after);
  const members = membersOf(call.world, call.now);
  const found: Given[] = [];
  for (const type of types.slice(start === null ? 0 : types.indexOf(start.type))) {
    const behind = start?.type === type ? start : null;
    const see = (entry: Entry): readonly Given[] | null => {
      if (!call.decide({ permission: `${type}.view`, target: targetOf(entry) }).allowed) return null;
      const given = type === 'role_binding' ? ofBinding(call, kinds, entry, members) : ofMapping(call, kinds, entry);
      return given.length === 0 ? null : given;
    };
    // A mapping with many targets may end in the middle of a page.
    const place = behind === null || type === 'role_binding' ? null : parseResourcePath(behind.path);
    const cut = place === null ? undefined : call.world.find(type, place.scope, place.identifier);
    if (cut !== undefined) found.push(...(see(cut) ?? []).filter(({ key }) => readKey(key).number > behind!.number));
    const ordering = { entries: () => ofKindWithin(call.world, type, within), keyOf: entryPath, after: behind?.path ?? null, signal: call.signal };
    if (found.length < limit) found.push(...(await firstOf(ordering, limit - found.length, see)).flat());
    if (found.length >= limit) break;
  }
  return found.slice(0, limit);
}

function ofBinding({ world, now }: Call, kinds: Kinds, entry: Entry, members: (group: Subject) => readonly string[]): Given[] {
  const { principal } = entry.facts as BindingFacts;
  const given = principal === null ? null : givenNowByBinding(world, kinds, entry, now);
  if (given === null || principal === null) return [];
  const subjects = principal.type === 'user_group' ? members(principal) : [principal.uid];
  return [{ ...given, key: `role_binding ${entryPath(entry)} 0`, type: 'role_binding', entry, principal, subjects }];
}

function ofMapping({ world, now }: Call, kinds: Kinds, entry: Entry): Given[] {
  return givenNowByMapping(world, kinds, entry, now).flatMap((given, number) => {
    return given === null ? [] : [{ ...given, key: `claim_mapping ${entryPath(entry)} ${number}`, type: 'claim_mapping' as const, entry, principal: null, subjects: [entry.uid] }];
  });
}

/** Everybody in a group, directly or through groups, as it is now; many bindings may name the same one. */
function membersOf(world: World, now: Date): (group: Subject) => readonly string[] {
  const known = new Map<string, readonly string[]>();
  return ({ uid }) => {
    let members = known.get(uid);
    if (members === undefined) known.set(uid, (members = membersNow(world, uid, now)));
    return members;
  };
}

function readKey(key: string): { readonly type: Given['type']; readonly path: string; readonly number: number } {
  const [type, path, number] = key.split(' ');
  return { type: type as Given['type'], path: path!, number: Number(number) };
}
