/**
 * Regular expressions a user may write: RE2, always against the whole text, bounded in size before they are compiled and in
 * work when they run. Time is linear in the text, times the size of the pattern.
 */
import { RE2JS } from '@bufbuild/re2';

const maxCharacters = 256;
/** Parts once its counted repeats are written out; RE2 makes about two instructions of each. */
const maxParts = 300;
/** States that are remembered between texts, about 1.5 kB each. What texts look like is up to strangers. */
const maxStates = 50;

export interface Pattern {
  readonly matches: (text: string) => boolean;
  /** Instructions: what one character of a text may cost. */
  readonly size: number;
}

/** A text in place of a pattern says what is wrong with it. */
export function compilePattern(pattern: string): Pattern | string {
  if (pattern.length > maxCharacters) return `a pattern has at most ${maxCharacters} characters`;
  if (pattern.includes('\\Q')) return '`\\Q` is not taken in patterns; put a `\\` before each character';
  if (partsOf(pattern) > maxParts) return `a pattern has at most ${maxParts} parts when its repeats are written out; count less`;
  try {
    const compiled = new RE2JS(pattern);
    const { prog, dfa } = compiled.re2();
    dfa.stateLimit = maxStates;
    return { matches: (text) => compiled.testExact(text), size: prog.numInst() };
  } catch (error) {
    return `not a pattern of RE2: ${error instanceof Error ? error.message : 'unknown'}`;
  }
}

/** Size with repeats written out: `(ab{3}){4}` has 16 parts. An estimate for what is no pattern at all. */
function partsOf(pattern: string): number {
  const outer: number[] = [];
  let sum = 0;
  let last = 0;
  // A class, something escaped, a counted repeat, or one character.
  for (const [token] of pattern.matchAll(/\[\^?\]?(?:\\.|[^\]\\])*\]|\\[xpP]\{[^}]*\}|\\.|\{\d+(?:,\d*)?\}|./gsu)) {
    if (token === '(') {
      outer.push(sum);
      [sum, last] = [0, 0];
    } else if (token === ')') {
      [sum, last] = [(outer.pop() ?? 0) + sum, sum];
    } else if (token.length > 1 && token.startsWith('{')) {
      const times = Math.max(1, ...token.match(/\d+/g)!.map(Number));
      sum += last * (times - 1);
      last *= times;
    } else {
      last = 1;
      sum += 1;
    }
  }
  return outer.reduce((total, part) => total + part, sum);
}
