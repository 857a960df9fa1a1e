/**
 * Access checks in process, in worlds of 300, 50 k and 1 M bindings: against a bare index, against other engines, and what
 * it takes to load, keep and change a large world. Each case has a process of its own.
 * `npm run bench -- access --size=50k --case=rates` measures one of them.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { installedPeers, peerNames } from './access/installed-peers.ts';
import type { Figures } from './access/rates.ts';
import { benchResult, median, runAndPrint } from './result.ts';
import type { BenchOptions, BenchResult, BenchRow } from './result.ts';

interface Case {
  readonly name: string;
  readonly size: string;
}

/** In this order; agreement first, since figures of a wrong engine are none. */
const cases: readonly Case[] = [
  { name: 'agreement', size: 'small' },
  { name: 'agreement', size: '50k' },
  { name: 'rates', size: 'small' },
  { name: 'rates', size: '50k' },
  { name: 'casl', size: '50k' },
  { name: 'cedar', size: '50k' },
  { name: 'casbin', size: '50k' },
  { name: 'rates', size: '1M' },
  { name: 'growth', size: 'flat' },
  { name: 'load', size: '1M' },
  { name: 'heap', size: '1M' },
  { name: 'change', size: '1M' },
  { name: 'searches', size: '1M' },
];

/** What said something; when a run is made again for others, it stands. */
const steady = new Map<Case, readonly BenchRow[]>();
const heapMegabytes = 12_000;
const timeoutMs = 1_200_000;

export async function run(options: BenchOptions = {}): Promise<BenchResult> {
  const wanted = cases.filter((one) => (options.size ?? one.size) === one.size && (options.case ?? one.name) === one.name);
  if (wanted.length === 0) throw new Error(`there is no such case; there are ${cases.map((one) => `--case=${one.name} --size=${one.size}`).join(', ')}`);
  const needsPeers = wanted.some(({ name }) => name === 'agreement' || isPeer(name));
  const peers = needsPeers ? await installedPeers() : [];
  const rows: BenchRow[] = [];
  for (const one of wanted) if (!isPeer(one.name) || peers.includes(one.name)) rows.push(...(steady.get(one) ?? (await measured(one, peers))));
  return benchResult({ name: 'access', unit: 'as each row says', rows });
}

function isPeer(name: string): boolean {
  return (peerNames as readonly string[]).includes(name);
}

async function measured(one: Case, peers: readonly string[]): Promise<readonly BenchRow[]> {
  const { name, size } = one;
  console.error(`access: ${name} ${size}`);
  const program = join(import.meta.dirname, 'access', 'measure.ts');
  const flags = ['--expose-gc', `--max-old-space-size=${heapMegabytes}`];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, program, name, size, ...peers], { timeout: timeoutMs });
  const figures = JSON.parse(stdout) as Figures[];
  const rows = figures.map((row) => ({ ...row, ratioMedian: median(row.ours.map((figure, round) => figure / row.floor[round]!)) }));
  if (benchResult({ name, unit: '', rows }).void.length === 0) steady.set(one, rows);
  return rows;
}

if (import.meta.main) await runAndPrint(run);
