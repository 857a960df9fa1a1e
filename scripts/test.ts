/** `npm test [-- [--long | --crash] [--grep PATTERN] [FILE | FOLDER …]]`: runs the tests; the last line is the result. */
import { mkdtempSync, mkdirSync, rmSync } from 'node:fs';
import { randomInt } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { inspect, parseArgs } from 'node:util';
import { isTestFile, listSources } from './source.ts';
import { batchesOf } from './test-batches.ts';
import type { Batch } from './test-batches.ts';
import { runTestProcess } from './test-process.ts';
import { addUp, summaryLines, tallyOf } from './test-summary.ts';
import type { Tally } from './test-summary.ts';

type Mode = 'short' | 'long' | 'crash';

interface Wish {
  readonly mode: Mode;
  readonly grep: string | undefined;
  /** Files or folders; empty means all. */
  readonly paths: readonly string[];
}

const testFolders = ['src', 'scripts', 'test', 'bench'];
const atOnce = 2;
const testTimeoutMs: Readonly<Record<Mode, number>> = { short: 120_000, long: 600_000, crash: 600_000 };
const maxSeed = 2 ** 31;

interface Run extends Wish {
  readonly root: string;
  readonly seed: number;
  readonly directory: string;
  readonly signal: AbortSignal;
  /** Starts the database server at the first call. */
  readonly databaseReady: () => Promise<void>;
}

async function main(root: string): Promise<number> {
  const wish = readArguments(process.argv.slice(2));
  const files = chosen(root, wish.paths);
  const batches = batchesOf(root, files);
  const seed = readSeed(process.env['SALLYPORT_TEST_SEED']);
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-test-'));
  const stopped = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopped.abort(signal));
  console.log(`${files.length} files, mode ${wish.mode}, seed ${seed}`);
  const database = databaseOfRun(root);
  try {
    const tallies = await runAll(batches, { ...wish, root, seed, directory, signal: stopped.signal, databaseReady: database.start });
    const total = addUp(tallies);
    const result = total.passed === 0 && total.failures.length === 0 ? { ...total, failures: ['no test ran'] } : total;
    if (result.failures.length > 0) console.log(`\nrepeat with SALLYPORT_TEST_SEED=${seed}`);
    for (const line of summaryLines(result)) console.log(line);
    return result.failures.length === 0 && !stopped.signal.aborted ? 0 : 1;
  } finally {
    await database.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

function readArguments(given: string[]): Wish {
  const { values, positionals } = parseArgs({
    args: given,
    options: { long: { type: 'boolean' }, crash: { type: 'boolean' }, grep: { type: 'string' } },
    allowPositionals: true,
  });
  return { mode: values.crash ? 'crash' : values.long ? 'long' : 'short', grep: values.grep, paths: positionals };
}

/** The test files these paths name; all without paths. A path that names none is a mistake. */
function chosen(root: string, paths: readonly string[]): string[] {
  const all = listSources(root, testFolders).filter(isTestFile);
  const wanted = paths.map((path) => posix.normalize(path).replace(/\/$/, ''));
  const names = (path: string, file: string): boolean => file === path || file.startsWith(`${path}/`);
  const idle = wanted.find((path) => !all.some((file) => names(path, file)));
  if (idle !== undefined) throw new Error(`\`${idle}\` is no test file below ${testFolders.join(', ')}, and no folder with one`);
  return wanted.length === 0 ? all : all.filter((file) => wanted.some((path) => names(path, file)));
}

function readSeed(text: string | undefined): number {
  if (text === undefined || text === '') return randomInt(maxSeed);
  const seed = Number(text);
  if (!Number.isInteger(seed) || seed < 0 || seed >= maxSeed) throw new Error(`SALLYPORT_TEST_SEED must be a whole number below ${maxSeed}`);
  return seed;
}

async function runAll(batches: readonly Batch[], run: Run): Promise<Tally[]> {
  if (batches.some((batch) => batch.database)) run.databaseReady().catch(() => undefined); // said by those who need it
  const waiting = [...batches.entries()];
  const tallies: Tally[] = [];
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next && !run.signal.aborted; next = waiting.shift()) {
      const [number, batch] = next;
      tallies.push(await runBatch(batch, number, run));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return tallies;
}

async function runBatch(batch: Batch, number: number, run: Run): Promise<Tally> {
  const start = performance.now();
  const fault = batch.database ? await run.databaseReady().then(() => undefined, (error: unknown) => inspect(error)) : undefined;
  if (fault !== undefined) return { passed: 0, failures: [`${batch.files.join(', ')}\nthe database server did not start: ${fault}`], skipped: [] };
  const directory = join(run.directory, String(number));
  mkdirSync(directory);
  const result = await runTestProcess({
    root: run.root,
    files: batch.files,
    environment: environmentFor(run),
    testTimeoutMs: testTimeoutMs[run.mode],
    grep: run.grep,
    preload: batch.properties ? join(run.root, 'test/seed.ts') : undefined,
    directory,
    signal: run.signal,
  });
  const tally = tallyOf(result, batch.files);
  const [first = '', ...more] = batch.files;
  const name = more.length === 0 ? first : `${first} and ${more.length} more`;
  const seconds = ((performance.now() - start) / 1_000).toFixed(1).padStart(6);
  console.log(`${tally.failures.length === 0 ? 'ok  ' : 'FAIL'}${seconds} s  ${name}: ${tally.passed} passed`);
  if (run.paths.length > 0 && more.length === 0) {
    for (const one of result.ended.filter(({ kind }) => kind === 'test')) console.log(`        ${one.outcome} ${Math.round(one.durationMs)} ms  ${one.names.join(' › ')}`);
  }
  return tally;
}

/** The environment without settings of a server somebody may have put there, and without traces of a test run around this one. */
function environmentFor({ root, seed, mode }: Run): NodeJS.ProcessEnv {
  const handedDown = Object.entries(process.env).filter(([name]) => name.startsWith('SALLYPORT_TEST_') || !/^(SALLYPORT|NODE_TEST)_/.test(name));
  return {
    ...Object.fromEntries(handedDown),
    NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? join(root, 'node_modules/.cache/compile'),
    SALLYPORT_TEST_SEED: String(seed),
    SALLYPORT_TEST_MODE: mode,
  };
}

function databaseOfRun(root: string): { start(): Promise<void>; stop(): Promise<void> } {
  let started: Promise<void> | undefined;
  const setup = (): Promise<typeof import('../test/database/global-setup.ts')> => import(join(root, 'test/database/global-setup.ts'));
  return {
    start: () => (started ??= setup().then((module) => module.globalSetup())),
    stop: async () => {
      if (started) await setup().then((module) => module.globalTeardown());
    },
  };
}

try {
  process.exitCode = await main(process.cwd());
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
