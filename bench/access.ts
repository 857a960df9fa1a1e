/**
 * Access checks in process, in worlds of 300, 50 k and 1 M bindings, against a bare index. Each case has a process of its
 * own. `npm run bench -- access --size=50k --case=rates` measures one of them.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Figures } from './access/rates.ts';
import { benchResult, median, runAndPrint } from './result.ts';
import type { BenchOptions, BenchResult, BenchRow } from './result.ts';

interface Case {
  readonly name: string;
  readonly size: string;
}

/** In the order they are measured, the quick ones first. */
const cases: readonly Case[] = [
  { name: 'rates', size: 'small' },
  { name: 'rates', size: '50k' },
  { name: 'rates', size: '1M' },
  { name: 'growth', size: 'flat' },
];

const heapMegabytes = 12_000;
const timeoutMs = 1_200_000;

export async function run(options: BenchOptions = {}): Promise<BenchResult> {
  const wanted = cases.filter((one) => (options.size ?? one.size) === one.size && (options.case ?? one.name) === one.name);
  if (wanted.length === 0) throw new Error(`there is no such case; there are ${cases.map((one) => `--case=${one.name} --size=${one.size}`).join(', ')}`);
  const rows: BenchRow[] = [];
  for (const one of wanted) rows.push(...(await measured(one)));
  return benchResult({ name: 'access', unit: 'as each row says', rows });
}

async function measured({ name, size }: Case): Promise<BenchRow[]> {
  console.error(`access: ${name} ${size}`);
  const program = join(import.meta.dirname, 'access', 'measure.ts');
  const flags = ['--expose-gc', `--max-old-space-size=${heapMegabytes}`];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, program, name, size], { timeout: timeoutMs });
  const figures = JSON.parse(stdout) as Figures[];
  return figures.map((one) => ({ ...one, ratioMedian: median(one.ours.map((figure, round) => figure / one.floor[round]!)) }));
}

if (import.meta.main) await runAndPrint(run);
