/** Columns: typed arrays that grow by doubling, so that adding a row is O(1) over many. */
type Column = Int32Array | Uint32Array | Uint8Array;

/** A copy with at least so many cells; the new ones are 0. */
export function grown<C extends Column>(column: C, cells: number): C {
  let length = Math.max(16, column.length);
  while (length < cells) length *= 2;
  const larger = new (column.constructor as new (length: number) => C)(length);
  larger.set(column);
  return larger;
}
