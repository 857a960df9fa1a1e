/**
 * The floor of the masking benchmark: one regular expression over latin1 strings, as small as it can be and still
 * right across chunks for secrets that do not overlap. Call it once more with an empty chunk and `last`.
 */
export function floorMasker(values: readonly string[]): (chunk: Uint8Array, last?: boolean) => Uint8Array {
  const longest = Math.max(...values.map((value) => value.length));
  const alternatives = values.toSorted((a, b) => b.length - a.length).map((value) => RegExp.escape(value));
  const pattern = new RegExp(alternatives.join('|'), 'g');
  let carry = '';
  return (chunk, last = false) => {
    const text = carry + Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).toString('latin1');
    const cut = last ? text.length : Math.max(0, text.length - longest + 1);
    let out = '';
    let done = 0;
    pattern.lastIndex = 0;
    for (let match = pattern.exec(text); match !== null && match.index < cut; match = pattern.exec(text)) {
      out += `${text.slice(done, match.index)}***`;
      done = pattern.lastIndex;
    }
    const to = Math.max(done, cut);
    carry = text.slice(to);
    return Buffer.from(out + text.slice(done, to), 'latin1');
  };
}
