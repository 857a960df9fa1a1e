import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { UsageError } from './command-line.ts';
import { describeErrors, readManifestFiles } from './manifest-files.ts';

const directory = mkdtempSync(join(tmpdir(), 'sallyport-manifests-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const nobody = { variable: () => undefined, stdin: () => Promise.reject(new Error('nobody is asked')) };

function written(name: string, content: string | Buffer): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

describe('a file that holds no manifests is refused before anything is sent:', () => {
  const rows: readonly (readonly [name: string, content: string | Buffer, says: string])[] = [
    ['nothing in it', '', 'there is no document in `FILE`'],
    ['only a comment', '# later\n---\n', 'there is no document in `FILE`'],
    ['no text', Buffer.from([0x6b, 0xff, 0xfe]), '`FILE` is no text in UTF-8'],
    ['a list', '- kind: Role\n', 'FILE:1:1: a manifest is a mapping'],
    ['a list without end, its place told once', 'kind: Role\nspec:\n  level: [org\n', 'FILE:4:1: Flow sequence in block collection must be sufficiently indented and end with a ]'],
    ['an alias', 'kind: &a Role\nname: *a\n', 'FILE:1:10: anchors are not accepted'],
    ['a variable that is not set', 'kind: Secret\nspec:\n  valueFrom: { env: NOPE }\n', 'FILE:3:3: the variable `NOPE` of `valueFrom` is not set'],
    ['a file that is not there', 'kind: Secret\nspec:\n  valueFrom: { file: /nope/nope }\n', 'FILE:3:3: the file `/nope/nope` of `valueFrom` cannot be read'],
    ['a source nobody knows', 'kind: Secret\nspec:\n  valueFrom: { vault: x }\n', 'FILE:3:3: `valueFrom` knows `env`, `file` and `stdin`, not `vault`'],
  ];
  for (const [name, content, says] of rows) {
    test(name, async () => {
      const path = written(`${name}.yaml`, content);
      await assert.rejects(readManifestFiles([path], nobody, async () => null), (error: unknown) => {
        assert.ok(error instanceof UsageError);
        assert.equal(error.message, says.replace('FILE', path));
        return true;
      });
    });
  }
});

test('a fault the server finds is told with its place, and what has none by its name', async () => {
  const path = written('role.yaml', 'kind: Role\nspec:\n  level: planet\n---\nkind: Role\nidentifier: r\nspec: {}\n');
  const files = await readManifestFiles([path], nobody, async () => null);
  const faults = [
    { pointer: '/documents/0/identifier', message: 'is missing' },
    { pointer: '/spec/level', message: 'is no level', document: 0 },
    { pointer: '/spec/permissions/0', message: 'is missing', document: 1 },
    { pointer: '/set', message: 'is needed' },
  ];
  assert.deepEqual(describeErrors(faults, files), [
    `${path}:1:1: \`identifier\`: is missing`,
    `${path}:3:3: is no level`,
    `${path}:7:1: \`permissions/0\`: is missing`,
    '/set: is needed',
  ]);
});
