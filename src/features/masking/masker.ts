/**
 * The masker of one stream: bytes in, bytes out, every occurrence of every needle replaced by `***` whatever the
 * chunking. Work is linear in the stream; what is held back is exactly what may still become part of a match.
 */
import { assert } from '#kernel/errors.ts';
import { root } from './automaton.ts';
import { ByteQueue } from './byte-queue.ts';
import { LeftOutReturns } from './line-breaks.ts';
import { bytesOf } from './maskability.ts';
import type { MaskSet } from './mask-set.ts';
import { MaskedRanges } from './ranges.ts';
import type { MaskedRange } from './ranges.ts';

const mask = Buffer.from('***');
const carriageReturn = 0x0d;
const lineFeed = 0x0a;
const nothing = new Uint8Array(0);

export class Masker {
  /** Table look-ups so far: at most a small multiple of the bytes written. */
  steps = 0;
  private set: MaskSet;
  private readonly counts = new Map<string, number>();
  private readonly ranges = new MaskedRanges();
  private readonly leftOut = new LeftOutReturns();
  /** The bytes from `released` to `received`. */
  private readonly held = new ByteQueue();
  /** Places in the stream: everything before has left, or come in. */
  private released = 0;
  private received = 0;
  private state = root;
  /** The last byte is a CR inside a partial match, and whether it counts depends on the next. */
  private undecidedReturn = false;
  private ended = false;

  constructor(set: MaskSet) {
    this.set = set;
  }

  /** In how many masks a secret took part, by its name; complete after `end`. */
  get hits(): ReadonlyMap<string, number> {
    return this.counts;
  }

  get heldBytes(): number {
    return this.held.length;
  }

  /** The masked bytes that may leave now. They may share memory with `chunk`: use them before changing it. */
  write(chunk: Uint8Array): Uint8Array {
    assert(!this.ended, 'a masker was written to after its end');
    this.search(chunk, this.received);
    this.received += chunk.length;
    return this.release(this.partialStart(), chunk);
  }

  /** The rest. */
  end(): Uint8Array {
    assert(!this.ended, 'a masker was ended twice');
    this.ended = true;
    const rest = this.release(this.received, nothing);
    this.count(this.ranges.takeBefore(Infinity));
    return rest;
  }

  /** From here on, and for the bytes still held, `set` decides. It masks less than before only where it holds less. */
  replaceSet(set: MaskSet): void {
    assert(set.version > this.set.version, 'a mask set was replaced by an older one');
    this.set = set;
    this.state = root;
    this.undecidedReturn = false;
    this.leftOut.clear();
    this.ranges.dropUnwritten();
    this.search(this.held.bytes, this.released);
  }

  /** Finds all matches that end in `bytes`, which start at `base` in the stream. */
  private search(bytes: Uint8Array, base: number): void {
    if (bytes.length === 0) return;
    if (this.undecidedReturn) this.decideReturn(bytes[0]!, base);
    const { automaton: { depth }, starts } = this.set.compiled;
    let at = 0;
    let askAgainAt = 0;
    while (true) {
      const length = depth[this.state]!;
      if (at >= askAgainAt && length < starts.prefixBytes && length <= at && this.isUnbroken(base + at, length)) {
        const start = starts.seek(bytes, at - length, this);
        // Only ever forward: no byte goes through the automaton twice, which keeps the work linear.
        if (start >= at) {
          at = start;
          this.state = root;
        }
        // The automaton decides about this start first; asking at every byte of it halves the speed on near misses.
        askAgainAt = start + starts.prefixBytes;
      }
      if (at >= bytes.length) return;
      const byte = bytes[at]!;
      at += 1;
      if (byte !== carriageReturn || this.state === root) this.advance(byte, base + at);
      else if (at === bytes.length) this.undecidedReturn = true;
      else if (bytes[at] === lineFeed) this.leftOut.add(base + at - 1);
      else this.advance(byte, base + at);
    }
  }

  /** One byte through the automaton; `end` is the place after it. */
  private advance(byte: number, end: number): void {
    const { automaton } = this.set.compiled;
    let state = this.state;
    let next = automaton.children.of(state, byte);
    this.steps += 1;
    while (next === root && state !== root) {
      state = automaton.suffix[state]!;
      next = automaton.children.of(state, byte);
      this.steps += 1;
    }
    this.state = next;
    const match = automaton.match[next]!;
    if (match === root) return;
    this.ranges.add({ start: this.leftOut.startOf(end, automaton.depth[match]!), end, state: match }, automaton);
    // A needle no other continues is done with: only its suffix can still become part of a match.
    while (this.state !== root && automaton.children.noneOf(this.state)) this.state = automaton.suffix[this.state]!;
  }

  private decideReturn(next: number, place: number): void {
    this.undecidedReturn = false;
    if (next === lineFeed) this.leftOut.add(place - 1);
    else this.advance(carriageReturn, place);
  }

  /** No CR was left out of the partial match, so its places in the text as searched and as written agree. */
  private isUnbroken(end: number, length: number): boolean {
    return this.leftOut.startOf(end, length) === end - length;
  }

  /** Where the longest text begins that may still become a match. */
  private partialStart(): number {
    const end = this.undecidedReturn ? this.received - 1 : this.received;
    const length = this.set.compiled.automaton.depth[this.state]!;
    this.leftOut.keepFor(end, length);
    return this.leftOut.startOf(end, length);
  }

  /** Lets go of everything before `to`; `chunk` is the end of what was received, the rest is held. */
  private release(to: number, chunk: Uint8Array): Uint8Array {
    const chunkStart = this.received - chunk.length;
    const untouched = this.released === chunkStart && this.ranges.list.length === 0;
    const out = untouched ? chunk.subarray(0, to - chunkStart) : this.compose(to, chunk, chunkStart);
    this.held.drop(to - this.released);
    this.held.append(chunk.subarray(Math.max(0, to - chunkStart)));
    this.released = to;
    this.count(this.ranges.takeBefore(to));
    return out;
  }

  private compose(to: number, chunk: Uint8Array, chunkStart: number): Uint8Array {
    // A mask is shorter than any needle, except where only the beginning of a match is let go.
    const out = Buffer.allocUnsafeSlow(to - this.released + mask.length);
    let length = 0;
    const copy = (from: number, until: number): void => {
      if (from < chunkStart) {
        const part = this.held.bytes.subarray(from - this.released, until - this.released);
        out.set(part, length);
        length += part.length;
      }
      if (until > chunkStart) {
        const part = chunk.subarray(Math.max(0, from - chunkStart), until - chunkStart);
        out.set(part, length);
        length += part.length;
      }
    };
    let at = this.released;
    for (const range of this.ranges.list) {
      if (range.start >= to) break;
      if (range.start > at) copy(at, range.start);
      if (!range.written) {
        out.set(mask, length);
        length += mask.length;
        range.written = true;
      }
      at = Math.min(range.end, to);
    }
    if (at < to) copy(at, to);
    return out.subarray(0, length);
  }

  private count(closed: readonly MaskedRange[]): void {
    for (const range of closed) {
      const names = new Set([...range.needles].flatMap((needle) => [...needle.names]));
      for (const name of names) this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
    }
  }
}

/** Masks a whole text; a string comes back as a string. */
export function maskWhole<Text extends string | Uint8Array>(set: MaskSet, text: Text): Text;
export function maskWhole(set: MaskSet, text: string | Uint8Array): string | Uint8Array {
  const masker = new Masker(set);
  const out = Buffer.concat([masker.write(bytesOf(text)), masker.end()]);
  if (masker.hits.size === 0) return text;
  return typeof text === 'string' ? out.toString('utf8') : out;
}

/** The names of the secrets found in `value`, sorted; what taints an output variable. */
export function containsSecret(set: MaskSet, value: string | Uint8Array): string[] {
  const masker = new Masker(set);
  masker.write(bytesOf(value));
  masker.end();
  return [...masker.hits.keys()].sort();
}
