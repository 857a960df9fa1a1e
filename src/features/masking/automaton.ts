/**
 * Aho–Corasick over bytes: the state after a text is the longest suffix of it that begins a needle, so all needles are
 * found in one pass whose work is linear in the text whatever it holds (Aho, Corasick: "Efficient string matching",
 * 1975). Nearly every state has one child, which is the next number; only what branches off is in a hash table. About
 * 14 bytes a state.
 */
import { assert } from '#kernel/errors.ts';
import type { Needle } from './needles.ts';

/** The state of a text no suffix of which begins a needle. */
export const root = 0;

const noByte = 256;
const byteMask = 511;
const branches = 512;
const maximumStates = 2 ** 24;

export interface Automaton {
  /** The length in bytes of the suffix a state stands for. */
  readonly depth: Int32Array;
  /** The state of the longest proper suffix. */
  readonly suffix: Int32Array;
  /** The state of the longest needle that ends here, `root` for none. The next shorter one is `match[suffix[…]]`. */
  readonly match: Int32Array;
  readonly needleAt: ReadonlyMap<number, Needle>;
  readonly children: Children;
}

export function compileAutomaton(needles: readonly Needle[]): Automaton {
  const stateCount = 1 + needles.reduce((sum, needle) => sum + needle.bytes.length, 0);
  assert(stateCount <= maximumStates, 'needles exceed their bound');
  const trie = buildTrie(needles, stateCount);
  const { suffix, match } = linkSuffixes(trie);
  return { depth: trie.depth, suffix, match, needleAt: trie.needleAt, children: trie.children };
}

/** The edges of the trie. `of` is the hot path. */
class Children {
  private readonly fromRoot = new Int32Array(256);
  /** Per state: the byte that leads to the next number, or `noByte`; plus the flag that more are in the table. */
  private readonly chain: Uint16Array;
  /** Open addressing; a key is state and byte, never 0 because the root's edges are apart. */
  private readonly keys: Uint32Array;
  private readonly values: Int32Array;
  private readonly slotMask: number;

  constructor(stateCount: number, branchCount: number) {
    this.chain = new Uint16Array(stateCount).fill(noByte);
    const slots = 2 ** Math.ceil(Math.log2(2 * branchCount + 2));
    this.keys = new Uint32Array(slots);
    this.values = new Int32Array(slots);
    this.slotMask = slots - 1;
  }

  /** The child of `state` by `byte`, or `root` for none. */
  of(state: number, byte: number): number {
    if (state === root) return this.fromRoot[byte]!;
    const chain = this.chain[state]!;
    if ((chain & byteMask) === byte) return state + 1;
    return chain < branches ? root : this.values[this.slot(state, byte)]!;
  }

  noneOf(state: number): boolean {
    return this.chain[state] === noByte;
  }

  add(state: number, byte: number, child: number): void {
    if (state === root) {
      this.fromRoot[byte] = child;
    } else if (child === state + 1) {
      this.chain[state] = (this.chain[state]! & branches) | byte;
    } else {
      this.chain[state]! |= branches;
      const slot = this.slot(state, byte);
      this.keys[slot] = keyOf(state, byte);
      this.values[slot] = child;
    }
  }

  private slot(state: number, byte: number): number {
    const key = keyOf(state, byte);
    let slot = (Math.imul(key, 0x9e3779b1) >>> 8) & this.slotMask;
    while (this.keys[slot] !== key && this.keys[slot] !== 0) slot = (slot + 1) & this.slotMask;
    return slot;
  }
}

function keyOf(state: number, byte: number): number {
  return ((state << 8) | byte) >>> 0;
}

interface Trie {
  readonly children: Children;
  readonly stateCount: number;
  readonly depth: Int32Array;
  readonly parent: Int32Array;
  /** The byte that leads to a state. */
  readonly entry: Uint8Array;
  readonly needleAt: Map<number, Needle>;
}

/** A needle leaves what is there at most once, and then only makes new states: hence one branch a needle at most. */
function buildTrie(needles: readonly Needle[], maximumCount: number): Trie {
  const children = new Children(maximumCount, needles.length);
  const depth = new Int32Array(maximumCount);
  const parent = new Int32Array(maximumCount);
  const entry = new Uint8Array(maximumCount);
  const needleAt = new Map<number, Needle>();
  let stateCount = 1;
  for (const needle of needles) {
    let state = root;
    for (const byte of needle.bytes) {
      let child = children.of(state, byte);
      if (child === root) {
        child = stateCount;
        stateCount += 1;
        children.add(state, byte, child);
        depth[child] = depth[state]! + 1;
        parent[child] = state;
        entry[child] = byte;
      }
      state = child;
    }
    needleAt.set(state, needle);
  }
  return { children, stateCount, depth, parent, entry, needleAt };
}

function linkSuffixes({ children, stateCount, depth, parent, entry, needleAt }: Trie): Pick<Automaton, 'suffix' | 'match'> {
  const suffix = new Int32Array(stateCount);
  const match = new Int32Array(stateCount);
  for (const state of needleAt.keys()) match[state] = state;
  for (const state of byDepth(depth, stateCount)) {
    if (depth[state]! > 1) {
      const byte = entry[state]!;
      let from = suffix[parent[state]!]!;
      while (from !== root && children.of(from, byte) === root) from = suffix[from]!;
      suffix[state] = children.of(from, byte);
    }
    if (match[state] === root) match[state] = match[suffix[state]!]!;
  }
  return { suffix, match };
}

/** All states, shallow ones first (a counting sort), because a state's suffix is always shallower. */
function byDepth(depth: Int32Array, stateCount: number): Int32Array {
  const deepest = depth.reduce((most, one) => Math.max(most, one), 0);
  const next = new Int32Array(deepest + 2);
  for (let state = 0; state < stateCount; state += 1) next[depth[state]! + 1]! += 1;
  for (let level = 1; level < next.length; level += 1) next[level]! += next[level - 1]!;
  const order = new Int32Array(stateCount);
  for (let state = 0; state < stateCount; state += 1) {
    const level = depth[state]!;
    order[next[level]!] = state;
    next[level]! += 1;
  }
  return order;
}
