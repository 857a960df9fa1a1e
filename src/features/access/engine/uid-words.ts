/** Uids as four words of 32 bits: 16 bytes instead of a text of 36 characters. */

const digitOf = new Int8Array(128).fill(-1);
for (let value = 0; value < 16; value++) digitOf[value.toString(16).charCodeAt(0)] = value;
const byteTexts = Array.from({ length: 256 }, (_, value) => value.toString(16).padStart(2, '0'));

/** Writes the words of a UUID at `at`. False, and anything may stand there, for other text, as tests have it. */
export function writeUid(text: string, words: Uint32Array, at: number): boolean {
  if (text.length !== 36) return false;
  let word = 0;
  let digits = 0;
  for (let i = 0; i < 36; i++) {
    const code = text.charCodeAt(i);
    if (i === 8 || i === 13 || i === 18 || i === 23) {
      if (code !== 45) return false;
      continue;
    }
    // Upper case is another text, so it is none of ours.
    const digit = code < 128 ? digitOf[code]! : -1;
    if (digit < 0) return false;
    word = (word << 4) | digit;
    digits += 1;
    if ((digits & 7) === 0) words[at + (digits >>> 3) - 1] = word;
  }
  return true;
}

export function readUid(words: Uint32Array, at: number): string {
  const [a, b, c, d] = [words[at]!, words[at + 1]!, words[at + 2]!, words[at + 3]!];
  return `${hex(a >>> 16)}${hex(a)}-${hex(b >>> 16)}-${hex(b)}-${hex(c >>> 16)}-${hex(c)}${hex(d >>> 16)}${hex(d)}`;
}

export function hashUid(words: Uint32Array, at: number): number {
  let hash = words[at + 3]! ^ Math.imul(words[at + 2]!, 0x9e3779b1) ^ Math.imul(words[at + 1]!, 0x85ebca6b) ^ Math.imul(words[at]!, 0xc2b2ae35);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  hash = Math.imul(hash ^ (hash >>> 12), 0x297a2d39);
  return hash ^ (hash >>> 15);
}

/** Of text that is no UUID, and of identifiers; `seed` keeps like names in different places apart. */
export function hashText(text: string, seed: number): number {
  let hash = Math.imul(seed ^ 0x811c9dc5, 0x01000193);
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return hash ^ (hash >>> 13);
}

function hex(word: number): string {
  return byteTexts[(word >>> 8) & 0xff]! + byteTexts[word & 0xff]!;
}
