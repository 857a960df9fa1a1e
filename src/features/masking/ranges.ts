/** The stretches of the text to be masked, disjoint and in order; overlapping and touching ones are one. */
import { root } from './automaton.ts';
import type { Automaton } from './automaton.ts';
import type { Needle } from './needles.ts';

export interface MaskedRange {
  /** Places in the whole text, `end` exclusive. */
  start: number;
  end: number;
  /** Every needle found inside; with a needle also all needles it ends with. */
  needles: Set<Needle>;
  /** The mask has left already. */
  written: boolean;
}

export class MaskedRanges {
  private ranges: MaskedRange[] = [];

  get list(): readonly MaskedRange[] {
    return this.ranges;
  }

  /** Enters the match that ends in `state`. Calls come in the order of `end`. */
  add({ start, end, state }: { start: number; end: number; state: number }, automaton: Automaton): void {
    let range = this.ranges.at(-1);
    if (range === undefined || range.end < start) {
      range = { start, end, needles: new Set(), written: false };
      this.ranges.push(range);
    }
    range.start = Math.min(range.start, start);
    range.end = end;
    for (let before = this.ranges.at(-2); before !== undefined && before.end >= start; before = this.ranges.at(-2)) {
      this.ranges.pop();
      range = absorb(before, range);
    }
    for (let match = state; match !== root; match = automaton.match[automaton.suffix[match]!]!) {
      const needle = automaton.needleAt.get(match)!;
      if (range.needles.has(needle)) return;
      range.needles.add(needle);
    }
  }

  /** Takes out the ranges that end before `place`; nothing can touch them any more. */
  takeBefore(place: number): MaskedRange[] {
    const open = this.ranges.findIndex((range) => range.end >= place);
    return this.ranges.splice(0, open === -1 ? this.ranges.length : open);
  }

  dropUnwritten(): void {
    this.ranges = this.ranges.filter((range) => range.written);
  }
}

/** The smaller set of needles goes into the larger one, so that merging many ranges stays cheap. */
function absorb(into: MaskedRange, later: MaskedRange): MaskedRange {
  const [large, small] = into.needles.size >= later.needles.size ? [into.needles, later.needles] : [later.needles, into.needles];
  for (const needle of small) large.add(needle);
  into.needles = large;
  into.start = Math.min(into.start, later.start);
  into.end = later.end;
  return into;
}
