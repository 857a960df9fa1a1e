/** Secrets, compiled once, immutable; what a Masker searches with. */
import { compileAutomaton } from './automaton.ts';
import type { Automaton } from './automaton.ts';
import { needlesOf, noNeedles } from './needles.ts';
import type { NeedleSet, Unmaskable } from './needles.ts';
import type { SecretValue } from './maskability.ts';
import { Starts } from './starts.ts';

export interface MaskSet {
  /** Grows with every addition; a log chunk carries the version it was masked with. */
  readonly version: number;
  /** Left out because too short; the runner warns of them by name. */
  readonly unmaskable: readonly Unmaskable[];
  /** Opaque outside masking. */
  readonly compiled: {
    readonly needles: NeedleSet;
    readonly automaton: Automaton;
    readonly starts: Starts;
  };
}

/**
 * Compiles `secrets`, and with `after` everything of that set too under the next version number (1 without).
 * Refuses `request.too_large` when there are too many or one is too large; leaves out what is too short.
 */
export function compileMaskSet(secrets: readonly SecretValue[], { after }: { readonly after?: MaskSet } = {}): MaskSet {
  const needles = needlesOf(secrets, after?.compiled.needles ?? noNeedles);
  return {
    version: (after?.version ?? 0) + 1,
    unmaskable: needles.unmaskable,
    compiled: { needles, automaton: compileAutomaton(needles.needles), starts: new Starts(needles.needles) },
  };
}
