/** Lists that are each in order, as one: whoever stops early has paid for what it took and for one look at each list. */

interface Reader<Item> {
  readonly list: readonly Item[];
  at: number;
}

/** Each path once, and only those after `after`. */
export function* inOneOrder<Item extends { readonly path: string }>(lists: Iterable<readonly Item[]>, after: string | null): Generator<Item> {
  const heap: Reader<Item>[] = [];
  for (const list of lists) {
    const at = after === null ? 0 : firstAfter(list, after);
    if (at < list.length) heap.push({ list, at });
  }
  for (let from = (heap.length >> 1) - 1; from >= 0; from--) sink(heap, from);
  let last: string | null = null;
  while (heap.length > 0) {
    const reader = heap[0]!;
    const item = reader.list[reader.at]!;
    if (item.path !== last) yield item;
    last = item.path;
    reader.at += 1;
    if (reader.at === reader.list.length) {
      const moved = heap.pop()!;
      if (heap.length > 0) heap[0] = moved;
    }
    sink(heap, 0);
  }
}

/** Where the first lies whose path comes after. */
function firstAfter(list: readonly { readonly path: string }[], after: string): number {
  let [from, to] = [0, list.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (list[middle]!.path <= after) from = middle + 1;
    else to = middle;
  }
  return from;
}

function sink<Item extends { readonly path: string }>(heap: Reader<Item>[], from: number): void {
  for (let at = from; ; ) {
    const left = 2 * at + 1;
    if (left >= heap.length) return;
    const least = left + 1 < heap.length && isBefore(heap[left + 1]!, heap[left]!) ? left + 1 : left;
    if (!isBefore(heap[least]!, heap[at]!)) return;
    [heap[at], heap[least]] = [heap[least]!, heap[at]!];
    at = least;
  }
}

function isBefore<Item extends { readonly path: string }>(a: Reader<Item>, b: Reader<Item>): boolean {
  return a.list[a.at]!.path < b.list[b.at]!.path;
}
