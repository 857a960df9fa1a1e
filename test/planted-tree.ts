import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';

const root = join(import.meta.dirname, '..');

/** Writes files into a directory that is removed after the test, with the packages of this repository. Returns its path. */
export function plantTree(t: TestContext, files: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(tmpdir(), 'planted-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'));
  const manifest = JSON.stringify({
    name: 'planted',
    type: 'module',
    imports: { '#kernel/*': './src/kernel/*', '#platform/*': './src/platform/*', '#features/*': './src/features/*', '#test/*': './test/*' },
  });
  for (const [path, text] of Object.entries({ 'package.json': manifest, ...files })) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  return directory;
}
