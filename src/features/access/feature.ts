/** The door of access: its kinds, and the engine that the rest of the product asks. */
import type { Kinds } from '#kernel/kind.ts';
import type { Manifest } from '#kernel/manifest.ts';
import { announced } from './announced.ts';
import { externalResourceKind } from './external-resource-kind.ts';
import { resourceGroupKind } from './resource-group-kind.ts';
import { resourceTypeKind } from './resource-type-kind.ts';
import { roleBindingKind } from './role-binding-kind.ts';
import { roleKind } from './role-kind.ts';

export { shelveBindings } from './engine/account-access.ts';
export { isAllUsers } from './all-users.ts';
export { authorize } from './authorize.ts';
export { builtin, builtinByUid } from './builtins.ts';
export type { WorldChanged } from './change-reach.ts';
export { askedOf, subjectsReaching, subjectsTouched } from './change-reach.ts';
export { evaluate } from './evaluate.ts';
export { externalTarget, registeredResource } from './external-resource-kind.ts';
export { givenNowByBinding, givenNowByMapping } from './given-now.ts';
export type { GivenNow } from './given-now.ts';
export { givenByMapping, givenThrough, holdings } from './gives.ts';
export { boundsGive, governedGives } from './govern.ts';
export type { Asker } from './grants.ts';
export type { Compared, DifferingRange, TwoEntries } from './grants-compared.ts';
export { GrantsCompared } from './grants-compared.ts';
export { holds, reachesAll } from './holds.ts';
export { givenByMembership, givenToEveryUser } from './joining.ts';
export { lastAdminGone } from './last-admin.ts';
export { anyGrantNow, hasLiveGrant, liveRanges, visibleNames } from './live.ts';
export type { PossibleGrant } from './mapping-reach.ts';
export { gainedByMapping, grantsOfMapping } from './mapping-reach.ts';
export { isUnder, mappingsThatCould, membersNow, peopleUnder, subjectsThatCould } from './reached.ts';
export { permissionsOf } from './roles.ts';
export { selectorFaults } from './selector-faults.ts';
export { grantsOf } from './ways.ts';

/** `kinds` is asked late: roles may name permissions of features that come after this one. */
export function access(kinds: () => Kinds): Manifest {
  return { name: 'access', nouns: announced, kinds: [roleKind(kinds), resourceGroupKind(kinds), roleBindingKind(kinds), resourceTypeKind(kinds), externalResourceKind] };
}
