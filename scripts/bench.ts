/**
 * `npm run bench [-- NAME …]`: runs every benchmark, each with its floor in the same run, and prints a table of medians.
 * `--size` and `--case` choose parts of those that have any. Each checks that its answers are right before it measures.
 * A run whose floor varied too much says nothing and is made again, at most twice; a missed aim is printed and no failure.
 */
import { globSync } from 'node:fs';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { formatResult } from '../bench/result.ts';
import type { BenchOptions, BenchResult } from '../bench/result.ts';

const root = join(import.meta.dirname, '..');
const maxTries = 3;

interface Benchmark {
  readonly run: (options: BenchOptions) => Promise<BenchResult>;
}

async function main(wanted: readonly string[], options: BenchOptions): Promise<number> {
  const names = globSync('bench/*.ts', { cwd: root }).map((path) => basename(path, '.ts')).filter((name) => !/^(result|load|access-world)$|\.(test|d)$/.test(name)).toSorted();
  const unknown = wanted.find((name) => !names.includes(name));
  if (unknown !== undefined || names.length === 0) {
    console.error(`there is no benchmark \`${unknown ?? '*'}\`; there are ${names.join(', ')}`);
    return 2;
  }
  console.log(`Node ${process.versions.node}, ${availableParallelism()} × ${cpus()[0]?.model.trim() ?? 'unknown processor'}, load ${loadavg()[0]!.toFixed(1)}`);
  let failed = 0;
  for (const name of wanted.length === 0 ? names : wanted) if (!(await measure(name, options))) failed += 1;
  if (failed > 0) console.log(`\n${failed} of the benchmarks failed or said nothing`);
  return failed === 0 ? 0 : 1;
}

/** True when there is a result that says something. On a busy machine a server may also be too slow to answer at all. */
async function measure(name: string, options: BenchOptions): Promise<boolean> {
  const { run } = (await import(join(root, 'bench', `${name}.ts`))) as Benchmark;
  for (let attempt = 1; attempt <= maxTries; attempt += 1) {
    const problem = await run(options).then((result) => {
      console.log(`\n${formatResult(result)}`);
      return result.void.length === 0 ? null : 'a floor varied too much';
    }, (error: unknown) => `\n${name}: ${error instanceof Error ? error.message : String(error)}`);
    if (problem === null) return true;
    console.log(`${problem}${attempt < maxTries ? '; once more' : `; given up after ${maxTries} runs`}`);
  }
  return false;
}

const { positionals, values } = parseArgs({ allowPositionals: true, options: { size: { type: 'string' }, case: { type: 'string' } } });
process.exitCode = await main(positionals, values);
