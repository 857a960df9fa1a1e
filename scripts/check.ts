/** `npm run check`: everything that can be known about the code without running it. One line each, in the order they end. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { checkAcceptance } from './acceptance.ts';
import { checkLayering } from './layering.ts';
import { problemsOf } from './report.ts';
import type { Report } from './report.ts';
import { checkTidy } from './tidy.ts';

/** What a check says at its end. */
export interface Verdict {
  readonly ok: boolean;
  /** Printed after the time. */
  readonly summary: string;
  /** Printed below if there is something to see. */
  readonly lines: readonly string[];
}

export interface Check {
  readonly name: string;
  run(root: string): Promise<Verdict>;
}

const toolTimeoutMs = 110_000;
const atOnce = 2;
const maxLines = 60;

export const checks: readonly Check[] = [
  tool('types', ['node_modules/typescript/bin/tsc', '-p', '.', '--pretty', 'false']),
  tool('dead code', ['node_modules/knip/bin/knip.js', '--no-progress', '--no-config-hints', '--exclude', 'binaries,types,nsTypes,enumMembers,namespaceMembers']),
  tool('derived files', ['scripts/derive.ts', '--check']),
  tool('lint', ['node_modules/oxlint/bin/oxlint', '--format', 'unix', ...['src', 'scripts', 'test', 'bench']]),
  own('layering', checkLayering),
  own('tidy', (root) => checkTidy(root)),
  own('acceptance', checkAcceptance),
];

/** A check that is a program of its own: right if it ends with 0. */
export function tool(name: string, command: readonly string[]): Check {
  return {
    name,
    run: (root) =>
      new Promise((done) => {
        const [script = '', ...rest] = command;
        const child = spawn(process.execPath, [join(root, script), ...rest], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
        const deadline = setTimeout(() => child.kill('SIGKILL'), toolTimeoutMs);
        let text = '';
        for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        child.on('close', (code, signal) => {
          clearTimeout(deadline);
          const lines = text.split('\n').filter((line) => line.trim() !== '');
          const ending = signal === null ? `exit code ${code}` : `ended by ${signal} after at most ${toolTimeoutMs / 1_000} s`;
          done(code === 0 ? { ok: true, summary: '', lines: [] } : { ok: false, summary: ending, lines });
        });
      }),
  };
}

/** A check of our own. What it throws is what it could not read, and so a failure. */
export function own(name: string, check: (root: string) => Report): Check {
  return {
    name,
    run: async (root) => {
      try {
        const report = check(root);
        const problems = problemsOf(report);
        return { ok: problems.length === 0, summary: `${report.seen} ${report.what}`, lines: [...problems, ...(report.notes ?? [])] };
      } catch (error) {
        return { ok: false, summary: 'stopped', lines: [error instanceof Error ? error.message : String(error)] };
      }
    },
  };
}

/** Runs all checks, a few at the same time, and returns the names of those that failed. */
export async function runChecks(list: readonly Check[], root: string, print: (line: string) => void): Promise<string[]> {
  const waiting = [...list];
  const failed: string[] = [];
  const worker = async (): Promise<void> => {
    for (let check = waiting.shift(); check; check = waiting.shift()) {
      const start = performance.now();
      const { ok, summary, lines } = await check.run(root);
      if (!ok) failed.push(check.name);
      const ms = String(Math.round(performance.now() - start)).padStart(6);
      print(`${ok ? 'ok  ' : 'FAIL'}  ${check.name.padEnd(14)}${ms} ms  ${summary}`.trimEnd());
      for (const line of lines.slice(0, maxLines)) print(`        ${line}`);
      if (lines.length > maxLines) print(`        … and ${lines.length - maxLines} more lines; run the check alone to see them`);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return failed;
}

if (import.meta.main) {
  const start = performance.now();
  const failed = await runChecks(checks, process.cwd(), console.log);
  const seconds = ((performance.now() - start) / 1_000).toFixed(1);
  console.log(failed.length === 0 ? `all ${checks.length} checks passed in ${seconds} s` : `failed in ${seconds} s: ${failed.join(', ')}`);
  if (failed.length > 0) process.exitCode = 1;
}
