/**
 * The checks of a compound act, one after the other. Rights are those before the call; what is asked about and what is
 * given are as the call leaves them (CONTRACTS §5).
 */
import type { Caller } from '#kernel/caller.ts';
import type { Check, Question } from '#kernel/decision.ts';
import type { Kinds } from '#kernel/kind.ts';
import type { World } from '#kernel/world.ts';
import { decide } from './evaluate.ts';
import { holds } from './holds.ts';
import { bindPermission } from './schema.ts';

/** `used`: the permissions the caller was allowed by, those that excused it from holding what it gives among them. */
export type Authorization = { readonly allowed: true; readonly used: readonly Question[] } | { readonly allowed: false; readonly failed: Check };

export interface Act {
  readonly kinds: Kinds;
  readonly caller: Caller;
  readonly before: World;
  readonly after: World;
  readonly checks: readonly Check[];
  readonly now: Date;
}

/** Stops at the first check that fails. */
export function authorize(act: Act): Authorization {
  const used: Question[] = [];
  const failed = act.checks.find((check) => !passes(act, check, used));
  return failed === undefined ? { allowed: true, used } : { allowed: false, failed };
}

function passes(act: Act, check: Check, used: Question[]): boolean {
  const { kinds, caller, before, after, now } = act;
  const asked = { rights: before, kinds, asker: caller, now };
  switch (check.ask) {
    case 'administer':
      return caller.mayAdminister;
    case 'permission': {
      const { permission, target } = check;
      const question = { permission, target };
      return decide({ ...asked, tree: check.world === 'before' ? before : after, question }).allowed && used.push(question) > 0;
    }
    case 'holds': {
      const { unless } = check;
      // Admins have `role.bind` with everything else; as an exception it would let those of one scope give what is below. So
      // would a role that names it, held without child scopes: it excuses from holding what is given as far as it reaches.
      const namedOver = unless?.permission === bindPermission ? check.given.extent : null;
      if (unless !== undefined && decide({ ...asked, tree: after, question: unless, namedOver }).allowed) return used.push(unless) > 0;
      return holds(before, kinds.of(after), caller, check.given, now);
    }
  }
}
