/** Masking of a synthetic build log: MB (10^6 bytes) per second of processor time, against a regular expression. */
import { compileMaskSet } from '#features/masking/mask-set.ts';
import { Masker } from '#features/masking/masker.ts';
import { floorMasker } from './floor/masking.ts';
import { benchResult, compare, processorSeconds, runAndPrint } from './result.ts';
import type { BenchResult, BenchRow } from './result.ts';

const rounds = 5;
const chunkBytes = 64 * 1024;
const linesPerSecret = 1000;
const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const words = ('compiling module target error warning cached step layer download package resolve src/main/java/com/example '
  + 'test passed failed in ms INFO DEBUG npm http fetch GET 200 sha256: digest token user project pipeline').split(' ');

interface Case {
  readonly case: string;
  readonly aim: string;
  readonly values: readonly string[];
  readonly megabytes: number;
  /** What a line of the log says; one in a thousand holds a secret besides. */
  readonly line?: (next: () => number, values: readonly string[]) => string;
}

type Write = (chunk: Uint8Array, last?: boolean) => Uint8Array;

export async function run(): Promise<BenchResult> {
  const rows: BenchRow[] = [];
  for (const one of cases()) rows.push(await measure(one));
  return benchResult({ name: 'masking', unit: 'MB per processor second', rows });
}

function cases(): Case[] {
  const long = [1, 10, 100, 1000].map((count) => ({
    case: `${count} secrets of 16–40 characters`,
    aim: count <= 10 ? '≥ 700 MB/s' : '≥ 400 MB/s',
    values: secrets({ count, least: 16, most: 40 }),
    megabytes: count === 1000 ? 8 : 32,
  }));
  const values = long.at(-1)!.values;
  return [
    ...long,
    {
      case: '1000 secrets, one in ten of 6 characters',
      aim: '≥ 400 MB/s',
      values: values.map((value, index) => (index % 10 === 0 ? value.slice(0, 6) : value)),
      megabytes: 8,
    },
    { case: '1000 secrets, near misses only', aim: '≥ 50 MB/s', values, megabytes: 8, line: nearMisses },
  ];
}

async function measure(one: Case): Promise<BenchRow> {
  const log = logOf(one);
  const set = compileMaskSet(one.values.map((value, index) => ({ name: `secret_${index}`, value })));
  const ours = (): Write => {
    const masker = new Masker(set);
    return (chunk, last = false) => (last ? masker.end() : masker.write(chunk));
  };
  const floor = (): Write => floorMasker(one.values);
  if (!maskAll(ours(), log).equals(maskAll(floor(), log))) throw new Error(`${one.case}: ours and the floor mask differently`);
  const rate = (write: Write): number => log.length / 1e6 / processorSeconds(() => passAll(write, log));
  return compare({ case: one.case, aim: one.aim, rounds, ours: () => rate(ours()), floor: () => rate(floor()) });
}

/** The bytes pass and are let go, as when they are sent. */
function passAll(write: Write, log: Buffer): number {
  let bytes = 0;
  for (let at = 0; at < log.length; at += chunkBytes) bytes += write(log.subarray(at, at + chunkBytes)).length;
  return bytes + write(log.subarray(log.length), true).length;
}

function maskAll(write: Write, log: Buffer): Buffer {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < log.length; at += chunkBytes) parts.push(Uint8Array.from(write(log.subarray(at, at + chunkBytes))));
  parts.push(write(log.subarray(log.length), true));
  return Buffer.concat(parts);
}

function logOf({ values, megabytes, line = ordinaryLine }: Case): Buffer {
  const next = numbers(42);
  const lines: string[] = [];
  for (let bytes = 0, count = 0; bytes < megabytes * 1e6; count += 1) {
    const hit = count % linesPerSecret === 0 ? `${pick(values, next)} ` : '';
    const time = `2026-03-${10 + (count % 20)}T12:${10 + (count % 50)}:${10 + (count % 49)}.${100 + (count % 899)}Z`;
    const text = `${time} ${hit}${line(next, values)}\n`;
    lines.push(text);
    bytes += text.length;
  }
  return Buffer.from(lines.join(''), 'latin1');
}

function ordinaryLine(next: () => number): string {
  const parts = Array.from({ length: 8 }, () => (next() < 0.3 ? Math.floor(next() * 1e9).toString(16) : pick(words, next)));
  return parts.join(' ');
}

/** Secrets that lack their last character: the worst that text without a secret can be. */
function nearMisses(next: () => number, values: readonly string[]): string {
  return Array.from({ length: 4 }, () => pick(values, next).slice(0, -1)).join(' ');
}

function secrets({ count, least, most }: { readonly count: number; readonly least: number; readonly most: number }): string[] {
  const next = numbers(7);
  return Array.from({ length: count }, () => {
    const length = least + Math.floor(next() * (most - least + 1));
    return Array.from({ length }, () => pick(letters, next)).join('');
  });
}

function pick<Item>(items: ArrayLike<Item>, next: () => number): Item {
  return items[Math.floor(next() * items.length)]!;
}

/** The same numbers in [0, 1) every time (a linear congruential generator). */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

if (import.meta.main) await runAndPrint(run);
