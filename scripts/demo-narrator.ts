/** Tells the demo: numbered chapters, what happens, what is checked. Colour only on a terminal that wants it. */

export interface Narrator {
  chapter(title: string): void;
  /** What happens next, for people. */
  say(text: string): void;
  /** A command as one would type it. */
  command(text: string): void;
  /** A line the product printed. */
  quote(text: string): void;
  /** Prints that it is so, or throws that it is not. `seen` is what was there instead. */
  check(claim: string, isSo: boolean, seen?: unknown): void;
  /** How many claims were checked. */
  readonly checked: number;
}

/** A claim of the demo that did not hold. */
export class NotSo extends Error {}

const maxSeenCharacters = 4_000;

export function createNarrator(print: (line: string) => void, colour: boolean): Narrator {
  const paint = (code: number, text: string): string => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
  let chapters = 0;
  let checked = 0;
  return {
    chapter: (title) => print(`\n${paint(1, `${++chapters}. ${title}`)}`),
    say: (text) => print(`   ${text}`),
    command: (text) => print(`   ${paint(36, `$ ${text}`)}`),
    quote: (text) => text.trimEnd().split('\n').forEach((line) => print(`   ${paint(2, `│ ${line}`)}`)),
    check(claim, isSo, seen) {
      checked += 1;
      print(`   ${isSo ? paint(32, '✓') : paint(31, '✗')} ${claim}`);
      if (isSo) return;
      const text = typeof seen === 'string' ? seen : JSON.stringify(seen, null, 2);
      throw new NotSo(`not so: ${claim}${text === undefined ? '' : `\n${text.slice(0, maxSeenCharacters)}`}`);
    },
    get checked() {
      return checked;
    },
  };
}
