/** Text that is shown to people: nothing in it may act on a terminal or turn what stands around it. */

// Control characters, separators of lines, and those that override the direction of text.
const unprintable = /[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/gu;

/** True for one line of text that can be printed as it is. Joiners of letters and of emoji may be in it. */
export function isPrintable(text: string): boolean {
  return text.isWellFormed() && text.search(unprintable) === -1;
}

/** The text with U+FFFD for whatever may not be in it. */
export function printable(text: string): string {
  return text.toWellFormed().replace(unprintable, '\ufffd');
}

/** What may be written to a terminal of a text of several lines: colours stay, and nothing else that acts on it. */
export function forTerminal(text: string): string {
  return text.split(/(\u001b\[[\d;]*m|[\t\n])/).map((part, i) => (i % 2 === 1 ? part : printable(part))).join('');
}
