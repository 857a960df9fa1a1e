/** Writes the files that are derived from records; `--check` only says which of them are not what they would become. */
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { manifestBody } from '#features/resources/schema.ts';
import { describeApp } from '../src/describe.ts';
import { apiVersion, openApi } from '../src/surfaces/openapi.ts';
import { manifestSchemas } from '../src/surfaces/schemas.ts';
import { cliPage } from './cli-page.ts';
import { errorsPage } from './errors-page.ts';
import { jsonText } from './json-text.ts';
import { kindsPage } from './kinds-page.ts';
import { printReport } from './report.ts';
import type { Report } from './report.ts';
import { settingsPage } from './settings-page.ts';

export interface Derived {
  /** Relative to the root of the repository. */
  readonly path: string;
  /** The whole text, ending with a line feed; the same for the same records, wherever and whenever it runs. */
  make(): string | Promise<string>;
}

/** Directories that hold nothing else: what is in them and derived no more has to go. */
const onlyDerived = ['docs/schemas'];

/** Everything that is derived, from the records as they are now. */
export function derivedFiles(): readonly Derived[] {
  const { kinds, operations } = describeApp();
  return [
    { path: 'docs/errors.md', make: errorsPage },
    { path: 'docs/cli.md', make: cliPage },
    { path: 'docs/settings.md', make: settingsPage },
    { path: 'docs/kinds.md', make: () => kindsPage(kinds) },
    { path: 'docs/openapi.json', make: () => jsonText(openApi(operations, { version: apiVersion, kinds })) },
    ...[...manifestSchemas(kinds, manifestBody)].map(([name, schema]) => ({ path: `docs/schemas/${name}.json`, make: () => jsonText(schema) })),
  ];
}

/** Compares every derived file with what its records say. */
export async function checkDerived(root: string, files: readonly Derived[] = derivedFiles()): Promise<Report> {
  const problems: string[] = [];
  for (const file of files) {
    const difference = firstDifference(readIfThere(join(root, file.path)), await file.make());
    if (difference !== undefined) problems.push(`${file.path}${difference}; run \`npm run derive\` and commit the result`);
  }
  for (const path of leftOver(root, files)) problems.push(`${path}: is derived from nothing any more; run \`npm run derive\` and commit the result`);
  return { seen: files.length, what: 'derived files', problems };
}

/** Writes those that differ, removes what is left over, and returns the paths of both. */
export async function writeDerived(root: string, files: readonly Derived[] = derivedFiles()): Promise<string[]> {
  const written: string[] = [];
  for (const file of files) {
    const path = join(root, file.path);
    const text = await file.make();
    if (readIfThere(path) === text) continue;
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    written.push(file.path);
  }
  for (const path of leftOver(root, files)) {
    rmSync(join(root, path));
    written.push(path);
  }
  return written;
}

function leftOver(root: string, files: readonly Derived[]): string[] {
  const known = new Set(files.map(({ path }) => path));
  return onlyDerived.flatMap((directory) => namesIn(join(root, directory)).map((name) => `${directory}/${name}`)).filter((path) => !known.has(path));
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
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
  else for (const path of await writeDerived(process.cwd())) console.log(`derived ${path}`);
}
