/**
 * Values of principals that conditions in force read: whoever changes a tag or the e-mail address of a user may move the
 * user into somebody's reach, so it needs `govern` on the user, or all that the grants with these conditions give.
 */
import type { Given, Kinds } from '#kernel/kind.ts';
import type { Entry, World } from '#kernel/world.ts';
import { contextOfPerson } from './asker-values.ts';
import { aboutPrincipals } from './engine/conditional-groups.ts';
import { givenByGrant, grantsWhere, rolePermissions } from './gives.ts';
import { bindingsOfResourceGroup, conditionalGroups } from './lookup.ts';
import { memberships } from './memberships.ts';
import type { BindingFacts, ResourceGroupFacts } from './schema.ts';
import { conditionalSelectors, principalWordsOf } from './selector.ts';

/** A new principal is bound to nothing yet; what binds it then is asked for its whole range, conditions ignored. */
export function principalGives(before: Entry | null, after: Entry, worldAfter: World, kinds: Kinds): Given[] {
  if (before === null || (after.kind !== 'user' && after.kind !== 'service_account')) return [];
  const isOther = changedWords(before, after);
  const subjects = new Set(memberships(worldAfter, after).map(({ entry }) => entry.uid));
  return conditionalGroups(worldAfter, aboutPrincipals).flatMap((group) => {
    const words = conditionalSelectors((group.facts as ResourceGroupFacts).resources).flatMap(principalWordsOf);
    if (!words.some(isOther)) return [];
    const own = bindingsOfResourceGroup(worldAfter, group.uid).filter((binding) => subjects.has((binding.facts as BindingFacts).principal?.uid ?? ''));
    return [...grantsWhere(worldAfter, own, () => false)].flatMap(({ grant, why }) => givenTo(before, after, { kinds, grant, why }));
  });
}

function givenTo(before: Entry, after: Entry, { kinds, grant, why }: { kinds: Kinds; grant: Parameters<typeof givenByGrant>[0]; why: string }): Given[] {
  const given = givenByGrant(grant, rolePermissions(grant.role, kinds), `the new values of the principal may meet a condition of ${why}`);
  return [before, after].flatMap((target) => given.map((one): Given => ({ ...one, pointer: '', unless: { permission: `${after.kind}.govern`, target } })));
}

function changedWords(before: Entry, after: Entry): (word: string) => boolean {
  const [was, is] = [contextOfPerson(before), contextOfPerson(after)];
  return (word) => (word === 'tags' ? JSON.stringify(before.tags) !== JSON.stringify(after.tags) : was.principal(word) !== is.principal(word));
}
