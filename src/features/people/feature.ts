/** The door of people: users, service accounts and groups. */
import type { Kinds } from '#kernel/kind.ts';
import type { Manifest } from '#kernel/manifest.ts';
import { serviceAccountKind, userGroupKind, userKind } from './kinds.ts';

export function people(kinds: () => Kinds): Manifest {
  return { name: 'people', kinds: [userKind(kinds), serviceAccountKind(kinds), userGroupKind(kinds)] };
}
