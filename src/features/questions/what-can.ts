/** What somebody may act on: every stored resource of a kind, in a fixed order, from any point on. */
import { evaluate, externalTarget } from '#features/access/feature.ts';
import type { Asker } from '#features/access/feature.ts';
import { targetOf } from '#features/resources/feature.ts';
import type { Said, Target } from '#kernel/decision.ts';
import type { Kinds } from '#kernel/kind.ts';
import { contains } from '#kernel/scope.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { World } from '#kernel/world.ts';
import { entryPath } from '#kernel/world.ts';

interface Asking {
  readonly world: World;
  readonly kinds: Kinds;
  readonly asker: Asker;
  readonly now: Date;
}

interface Wanted {
  readonly kind: string;
  readonly permission: string;
  readonly said: Said;
  /** Nothing outside this scope. */
  readonly within: ScopePath;
  readonly after: string | null;
  readonly limit: number;
}

/** `id` is the path of a document, and the other system's own name of a registered instance. */
export function resourcesFor({ world, kinds, asker, now }: Asking, wanted: Wanted): { readonly items: readonly { readonly id: string }[]; readonly next: string | null } {
  const items: { readonly id: string; readonly key: string }[] = [];
  for (const { key, id, target } of inOrder(world, kinds, wanted)) {
    if (wanted.after !== null && key <= wanted.after) continue;
    if (!evaluate(world, kinds, asker, { permission: wanted.permission, target }, now).allowed) continue;
    if (items.length === wanted.limit) return { items, next: items.at(-1)!.key };
    items.push({ id, key });
  }
  return { items, next: null };
}

function inOrder(world: World, kinds: Kinds, { kind, said, within }: Wanted): { key: string; id: string; target: Target }[] {
  const isExternal = kinds.of(world).nouns.get(kind)?.external !== undefined;
  const found = [...world.list(isExternal ? 'external_resource' : kind)].flatMap((entry) => {
    const target = isExternal ? externalTarget(world, entry) : targetOf(entry);
    if (target === null || target.kind !== kind || !contains(within, target.scope)) return [];
    return [{ key: entryPath(entry), id: isExternal ? target.identifier! : entryPath(entry), target: isExternal ? { ...target, said } : target }];
  });
  return found.toSorted((a, b) => (a.key < b.key ? -1 : 1));
}
