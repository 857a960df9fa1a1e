/** Resource groups by the kinds their conditions are about: few of many, and every change of a tag asks for them. */
import type { EntryChange } from '#kernel/follower.ts';
import type { Entry } from '#kernel/world.ts';
import type { ResourceGroupFacts } from '../schema.ts';
import { conditionalSelectors, principalWordsOf } from '../selector.ts';

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

/** Stands among the kinds for groups whose conditions read something of the principal; no kind is called so. */
export const aboutPrincipals = '@principals';

/** Kinds that a resource group has conditions about. */
export function kindsAsked(group: Entry): ReadonlySet<string> {
  const selectors = conditionalSelectors((group.facts as ResourceGroupFacts).resources);
  const principals = selectors.some((selector) => principalWordsOf(selector).length > 0) ? [aboutPrincipals] : [];
  return new Set([...selectors.map((selector) => selector.type), ...principals]);
}
