/** `&&`, `||` and `!` over values of which some failed and some are not known: what the answer can still become. */
import type { Value } from './values.ts';
import { anything, failed, neverFalse, neverTrue } from './values.ts';

interface Possible {
  readonly yes: boolean;
  readonly no: boolean;
  readonly none: boolean;
}

export function negated(value: Value): Value {
  const { yes, no, none } = possible(value);
  return answer({ yes: no, no: yes, none });
}

/** `decisive` is the value that settles it alone: true for `||`, false for `&&`. It also makes up for what failed. */
export function joined(values: readonly Value[], decisive: boolean): Value {
  const all = values.map(possible);
  const canSettle = all.some(({ yes, no }) => (decisive ? yes : no));
  const canAgree = all.every(({ yes, no }) => (decisive ? no : yes));
  const mustSettle = values.includes(decisive);
  if (mustSettle) return decisive;
  const none = all.some((each) => each.none);
  return answer(decisive ? { yes: canSettle, no: canAgree, none } : { yes: canAgree, no: canSettle, none });
}

/** What a condition may be before it counts as failed. */
export function isBooleanOrOpen(value: Value): boolean {
  return typeof value === 'boolean' || (typeof value === 'symbol' && value !== failed);
}

function possible(value: Value): Possible {
  if (typeof value === 'boolean') return { yes: value, no: !value, none: false };
  if (value === anything) return { yes: true, no: true, none: true };
  return { yes: value === neverFalse, no: value === neverTrue, none: true };
}

function answer({ yes, no, none }: Possible): Value {
  if (yes && no) return anything;
  if (!yes && !no) return failed;
  if (none) return yes ? neverFalse : neverTrue;
  return yes;
}
