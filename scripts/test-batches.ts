import { statSync } from 'node:fs';
import { join } from 'node:path';
import { importsOf, resolver } from './imports.ts';
import { listSources, readSource } from './source.ts';

/** Test files that run in one process. */
export interface Batch {
  readonly files: readonly string[];
  /** Needs the database server of the run. */
  readonly database: boolean;
  /** Uses fast-check, which then gets the seed of the run. */
  readonly properties: boolean;
}

const databaseModule = 'test/database/database.ts';
/** What starts processes or threads may disturb others in its process. */
const disturbing = ['node:child_process', 'node:cluster', 'node:worker_threads'];
const filesPerProcess = 12;

/**
 * Divides test files among processes, by what their imports reach. Files that use the database or start processes get
 * one each; the others, which only compute, share, because starting a process costs more than they do. In the order in
 * which to start them: what probably takes longest first, so that at the end nobody waits for one of them.
 */
export function batchesOf(root: string, files: readonly string[]): Batch[] {
  const reach = reachOf(root);
  const shared: string[] = [];
  const batches: Batch[] = [];
  const usesProperties = (file: string): boolean => reach(file).has('fast-check');
  for (const file of files) {
    const database = reach(file).has(databaseModule);
    const alone = database || disturbing.some((name) => reach(file).has(name));
    if (alone) batches.push({ files: [file], database, properties: usesProperties(file) });
    else shared.push(file);
  }
  const sizeOf = (batch: Batch): number => statSync(join(root, batch.files[0] ?? '')).size;
  batches.sort((a, b) => Number(a.database) - Number(b.database) || sizeOf(b) - sizeOf(a));
  for (let at = 0; at < shared.length; at += filesPerProcess) {
    const part = shared.slice(at, at + filesPerProcess);
    batches.push({ files: part, database: false, properties: part.some(usesProperties) });
  }
  return batches;
}

/** For a file, all files and packages that its imports lead to. */
function reachOf(root: string): (file: string) => ReadonlySet<string> {
  const resolve = resolver(root);
  const present = new Set(listSources(root, ['src', 'scripts', 'test', 'bench']));
  const direct = new Map<string, readonly string[]>();
  const named = (file: string): readonly string[] => {
    const known = direct.get(file);
    if (known) return known;
    const names = importsOf(readSource(root, file), resolve).map((one) => one.target ?? one.specifier ?? '');
    direct.set(file, names);
    return names;
  };
  const reached = new Map<string, ReadonlySet<string>>();
  return (file) => {
    const known = reached.get(file);
    if (known) return known;
    const found = new Set<string>();
    const waiting = [file];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      for (const name of named(next)) {
        if (!found.has(name) && present.has(name)) waiting.push(name);
        found.add(name);
      }
    }
    reached.set(file, found);
    return found;
  };
}
