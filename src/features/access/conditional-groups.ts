/** Resource groups by the kinds their conditions are about: few of many, and every change of a tag asks for them. */
import type { EntryChange } from '#kernel/follower.ts';
import type { Entry } from '#kernel/world.ts';
import type { ResourceGroupFacts } from './schema.ts';
import { conditionalSelectors } from './selector.ts';

const none: ReadonlySet<string> = new Set();

export class ConditionalGroups {
  readonly #byKind = new Map<string, Set<string>>();

  /** Uids. */
  about(kind: string): ReadonlySet<string> {
    return this.#byKind.get(kind) ?? none;
  }

  changed({ before, after }: EntryChange): void {
    if (before !== undefined) for (const kind of kindsAsked(before)) this.#byKind.get(kind)?.delete(before.uid);
    if (after === undefined) return;
    for (const kind of kindsAsked(after)) {
      const groups = this.#byKind.get(kind);
      if (groups === undefined) this.#byKind.set(kind, new Set([after.uid]));
      else groups.add(after.uid);
    }
  }
}

/** Kinds that a resource group has conditions about. */
export function kindsAsked(group: Entry): ReadonlySet<string> {
  return new Set(conditionalSelectors((group.facts as ResourceGroupFacts).resources).map((selector) => selector.type));
}
