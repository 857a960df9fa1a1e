/** Writes the files that are derived from records; `--check` only says which of them are not what they would become. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errorsPage } from './errors-page.ts';
import { printReport } from './report.ts';
import type { Report } from './report.ts';

export interface Derived {
  /** Relative to the root of the repository. */
  readonly path: string;
  /** The whole text, ending with a line feed; the same for the same records, wherever and whenever it runs. */
  make(): string | Promise<string>;
}

const derived: readonly Derived[] = [{ path: 'docs/errors.md', make: errorsPage }];

/** Compares every derived file with what its records say. */
export async function checkDerived(root: string, files: readonly Derived[] = derived): Promise<Report> {
  const problems: string[] = [];
  for (const file of files) {
    const difference = firstDifference(readIfThere(join(root, file.path)), await file.make());
    if (difference !== undefined) problems.push(`${file.path}${difference}; run \`npm run derive\` and commit the result`);
  }
  return { seen: files.length, what: 'derived files', problems };
}

/** Writes those that differ and returns their paths. */
export async function writeDerived(root: string, files: readonly Derived[] = derived): Promise<string[]> {
  const written: string[] = [];
  for (const file of files) {
    const path = join(root, file.path);
    const text = await file.make();
    if (readIfThere(path) === text) continue;
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    written.push(file.path);
  }
  return written;
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function firstDifference(present: string | undefined, fresh: string): string | undefined {
  if (present === undefined) return ': does not exist';
  if (present === fresh) return undefined;
  const lines = present.split('\n');
  const line = fresh.split('\n').findIndex((text, at) => text !== lines[at]);
  return `:${line === -1 ? lines.length : line + 1}: is not what the records say`;
}

if (import.meta.main) {
  if (process.argv.includes('--check')) printReport('derived files', await checkDerived(process.cwd()));
  else for (const path of await writeDerived(process.cwd())) console.log(`wrote ${path}`);
}
