/** Up to this length the engine's own search cannot be driven far beyond the length of the text. */
const shortNeedle = 4;

/**
 * Where `needle` (not empty) begins in `text`, without overlaps, at most `limit` times.
 * Knuth, Morris and Pratt: at most two steps for a character. The engine's search takes seconds for a needle made to
 * defeat it (measured: 3.4 s for 128 Ki of `a…ba…` in 256 Ki of `a`), and needles come from payloads.
 */
export function occurrences(text: string, needle: string, limit = Number.POSITIVE_INFINITY): number[] {
  return needle.length <= shortNeedle ? searchShort(text, needle, limit) : searchLong(text, needle, limit);
}

function searchShort(text: string, needle: string, limit: number): number[] {
  const found: number[] = [];
  for (let at = text.indexOf(needle); at >= 0 && found.length < limit; at = text.indexOf(needle, at + needle.length)) {
    found.push(at);
  }
  return found;
}

function searchLong(text: string, needle: string, limit: number): number[] {
  if (needle.length > text.length) return [];
  const found: number[] = [];
  const borders = bordersOf(needle);
  let matched = 0;
  for (let i = 0; i < text.length && found.length < limit; i++) {
    const unit = text.charCodeAt(i);
    while (matched > 0 && needle.charCodeAt(matched) !== unit) matched = borders[matched - 1]!;
    if (needle.charCodeAt(matched) === unit) matched++;
    if (matched < needle.length) continue;
    found.push(i - needle.length + 1);
    matched = 0;
  }
  return found;
}

/** For every prefix of `needle` the length of its longest proper prefix that is also its suffix. */
function bordersOf(needle: string): Uint32Array {
  const borders = new Uint32Array(needle.length);
  let length = 0;
  for (let i = 1; i < needle.length; i++) {
    const unit = needle.charCodeAt(i);
    while (length > 0 && needle.charCodeAt(length) !== unit) length = borders[length - 1]!;
    if (needle.charCodeAt(length) === unit) length++;
    borders[i] = length;
  }
  return borders;
}
