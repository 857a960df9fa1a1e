/** What a role holds. Built-in sets are never spelled out, so kinds that appear later are in them at once. */
import type { Kinds, Noun } from '#kernel/kind.ts';
import { reachesBelow } from './places.ts';
import type { RoleFacts } from './schema.ts';

/**
 * `noun` is the kind the permission belongs to. Null = a kind nobody knows (yet): only those who hold every kind of the
 * account hold it.
 */
export function roleHas(role: RoleFacts, permission: string, noun: Noun | null): boolean {
  if (typeof role.permissions !== 'string') return role.permissions.has(permission);
  if (role.permissions === 'every_view' && !permission.endsWith('.view')) return false;
  return noun === null ? role.level === 'account' : reachesBelow(noun, role.level);
}

/** The known permissions of a role, one by one. */
export function* permissionsOf(role: RoleFacts, kinds: Kinds): Generator<{ permission: string; noun: Noun }> {
  const names = typeof role.permissions === 'string' ? kinds.permissions() : role.permissions;
  for (const permission of names) {
    const known = kinds.permission(permission);
    if (known !== null && roleHas(role, permission, known.noun)) yield { permission, noun: known.noun };
  }
}
