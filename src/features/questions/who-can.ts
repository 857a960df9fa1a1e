/** Who may do something to a resource: every principal, in a fixed order, from any point on. */
import { evaluate } from '#features/access/feature.ts';
import type { Asker } from '#features/access/feature.ts';
import type { Decision, Question } from '#kernel/decision.ts';
import type { Kinds } from '#kernel/kind.ts';
import type { World } from '#kernel/world.ts';
import { entryPath } from '#kernel/world.ts';

export type PersonType = 'user' | 'service_account';

export interface Found {
  readonly type: PersonType;
  readonly path: string;
  readonly decision: Decision;
}

interface Asking {
  readonly world: World;
  readonly kinds: Kinds;
  readonly question: Question;
  readonly now: Date;
}

interface Wanted {
  readonly types: readonly PersonType[];
  /** Where the page before ended; null = from the start. */
  readonly after: string | null;
  readonly limit: number;
}

/** At most `limit`, and where the next page begins; null when there is no more. */
export function principalsFor({ world, kinds, question, now }: Asking, { types, after, limit }: Wanted): { readonly items: readonly Found[]; readonly next: string | null } {
  const items: Found[] = [];
  for (const { key, type, asker } of peopleInOrder(world, types)) {
    if (after !== null && key <= after) continue;
    const decision = evaluate(world, kinds, asker, question, now);
    if (!decision.allowed) continue;
    if (items.length === limit) return { items, next: keyOf(items.at(-1)!) };
    items.push({ type, path: asker.principal.path, decision });
  }
  return { items, next: null };
}

function keyOf({ type, path }: { readonly type: string; readonly path: string }): string {
  return `${type}:${path}`;
}

function peopleInOrder(world: World, types: readonly PersonType[]): { key: string; type: PersonType; asker: Asker }[] {
  const people = types.flatMap((type) => [...world.list(type)].map((entry) => {
    const path = entryPath(entry);
    const asker: Asker = { accountId: world.accountId, principal: { type, uid: entry.uid, path }, bounds: 'principal' };
    return { key: keyOf({ type, path }), type, asker };
  }));
  return people.toSorted((a, b) => (a.key < b.key ? -1 : 1));
}
