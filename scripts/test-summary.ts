import type { Ended } from './test-journal.ts';
import type { TestProcessResult } from './test-process.ts';

/** What one process of tests amounts to. */
export interface Tally {
  readonly passed: number;
  readonly failures: readonly string[];
  /** Skipped with a reason that begins with `needs: `. */
  readonly skipped: readonly Skipped[];
}

export interface Skipped {
  readonly name: string;
  readonly needs: string;
}

/**
 * Counts what a process reported. A skip without a `needs:` reason, a test to do, and a file without tests count as
 * failures. `files` are the paths the process was given.
 */
export function tallyOf({ ended, fault, output }: TestProcessResult, files: readonly string[]): Tally {
  let passed = 0;
  const failures: string[] = [];
  const skipped: Skipped[] = [];
  for (const one of ended) {
    const name = [one.file, ...one.names].join(' › ');
    if (isEmptyFile(one, files)) failures.push(`${one.file}\nthere is no test in this file`);
    else if (one.todo !== undefined) failures.push(`${name}\na test to do: write it, or take it out`);
    else if (one.skip !== undefined && needsOf(one.skip) === undefined) failures.push(`${name}\nskipped without a reason that begins with \`needs: \``);
    else if (one.skip !== undefined) skipped.push({ name, needs: needsOf(one.skip) ?? '' });
    else if (one.outcome === 'failed' && one.error !== undefined) failures.push(`${name}\n${one.error}`);
    else if (one.outcome === 'passed' && one.kind === 'test') passed += 1;
  }
  if (fault !== undefined) failures.push(`${files.join(', ')}\n${fault}${output === '' ? '' : `\n${output}`}`);
  return { passed, failures, skipped };
}

/** Node reports a file without tests as a passed test with the name of the file. */
function isEmptyFile(one: Ended, files: readonly string[]): boolean {
  const [name = '', ...more] = one.names;
  return more.length === 0 && one.outcome === 'passed' && files.includes(name);
}

function needsOf(skip: string | true): string | undefined {
  return typeof skip === 'string' && /^needs: \S/.test(skip) ? skip.slice('needs: '.length) : undefined;
}

export function addUp(tallies: readonly Tally[]): Tally {
  return {
    passed: tallies.reduce((sum, one) => sum + one.passed, 0),
    failures: tallies.flatMap((one) => one.failures),
    skipped: tallies.flatMap((one) => one.skipped),
  };
}

/** The end of the output; its last line is the whole result in one. */
export function summaryLines({ passed, failures, skipped }: Tally): string[] {
  const lines = failures.flatMap((text) => ['', `FAILED ${text}`]);
  const needs = Map.groupBy(skipped, (one) => one.needs);
  for (const [reason, list] of needs) {
    lines.push('', `skipped, needs ${reason}:`, ...list.map((one) => `  ${one.name}`));
  }
  return [...lines, '', `${passed} passed, ${failures.length} failed, ${skipped.length} skipped`];
}
