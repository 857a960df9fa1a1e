/** The account keeps an administrator: the last binding that makes one cannot be taken away (CONTRACTS §5). */
import { accountScope } from '#kernel/scope.ts';
import type { Entry, World } from '#kernel/world.ts';
import { allUsersUid } from './all-users.ts';
import { accountAdminUid, everythingUid } from './builtins.ts';
import { bindingsOfRole, subjectEntry } from './lookup.ts';
import type { BindingFacts, GroupFacts, PrincipalFacts } from './schema.ts';

/**
 * True when a call would take the last enabled user or service account that is `account_admin` over everything, directly
 * or through groups. What ends by itself keeps nobody in charge, so only bindings without an end count; where none of
 * those was there before, those that are still live do. `system:bootstrap` is not counted, and an account that had no
 * administrator may stay without.
 */
export function lastAdminGone(before: World, after: World, now: Date): boolean {
  const nowMs = now.getTime();
  const counts = hasAdmin(before, forGood) ? forGood : (facts: BindingFacts) => facts.expiresAtMs === null || nowMs < facts.expiresAtMs;
  return !hasAdmin(after, counts) && hasAdmin(before, counts);
}

function forGood(facts: BindingFacts): boolean {
  return facts.expiresAtMs === null;
}

function hasAdmin(world: World, counts: (facts: BindingFacts) => boolean): boolean {
  const seen = new Set<string>();
  return bindingsOfRole(world, accountAdminUid).some((binding) => {
    const facts = binding.facts as BindingFacts;
    if (facts.disabled || !counts(facts)) return false;
    if (binding.scope !== accountScope || facts.resourceGroupUid !== everythingUid) return false;
    if (facts.principal?.uid === allUsersUid(accountScope)) return hasEnabledUser(world);
    const subject = subjectEntry(world, facts.principal);
    return subject !== null && subject.scope === accountScope && reachesPerson(world, subject, seen);
  });
}

function hasEnabledUser(world: World): boolean {
  for (const user of world.list('user')) if ((user.facts as PrincipalFacts).enabled) return true;
  return false;
}

/** Down through members; each group is looked into once for all bindings. */
function reachesPerson(world: World, start: Entry, seen: Set<string>): boolean {
  const open = [start];
  for (let entry = open.pop(); entry !== undefined; entry = open.pop()) {
    if (seen.has(entry.uid)) continue;
    seen.add(entry.uid);
    if (entry.kind !== 'user_group') {
      if ((entry.facts as PrincipalFacts).enabled) return true;
      continue;
    }
    for (const member of (entry.facts as GroupFacts).members) {
      const found = subjectEntry(world, member);
      if (found !== null && found.scope === accountScope) open.push(found);
    }
  }
  return false;
}
