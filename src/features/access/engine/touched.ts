/** Whose rights a change may alter: what is compiled for others stays. */
import type { EntryChange } from '#kernel/follower.ts';
import type { Entry } from '#kernel/world.ts';
import type { BindingShelf } from './binding-shelf.ts';
import type { BindingFacts, GroupFacts } from '../schema.ts';

/** Everything decisions about people are made from, but scopes, which are asked about at every question. */
export const rightsKinds: readonly string[] = ['role_binding', 'user_group', 'user', 'service_account', 'role', 'resource_group'];
/** Those about sessions. */
export const sessionKinds: readonly string[] = ['claim_mapping', 'trusted_issuer', 'role', 'resource_group'];

/**
 * Uids of principals and groups whose own bindings, state or groups may be others now. Whoever is in such a group,
 * directly or not, is touched with it.
 */
export function touchedSubjects({ before, after }: EntryChange): readonly string[] {
  return [before, after].flatMap((entry) => (entry === undefined ? [] : subjectsOf(entry)));
}

/** True when what bindings of anybody mean may have changed. A role that no binding names changes nothing. */
export function touchesEverybody({ before, after }: EntryChange, bindings: BindingShelf): boolean {
  const { kind, uid } = (after ?? before)!;
  if (kind === 'role') return bindings.first('role', uid) >= 0;
  return kind === 'resource_group' && bindings.first('resourceGroup', uid) >= 0;
}

function subjectsOf(entry: Entry): readonly string[] {
  switch (entry.kind) {
    case 'role_binding': {
      const { principal } = entry.facts as BindingFacts;
      return principal === null ? [] : [principal.uid];
    }
    case 'user_group':
      return [entry.uid, ...(entry.facts as GroupFacts).members.map((member) => member.uid)];
    case 'user':
    case 'service_account':
      return [entry.uid];
    default:
      return [];
  }
}
