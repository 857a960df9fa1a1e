/** `docs/access.md` is played by the letter: its manifests are applied, its commands print what it says, its tables hold. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse, parseAllDocuments } from 'yaml';
import { atEnd } from '#test/endings.ts';
import { plainEnvironment } from '#test/serve-process.ts';
import { startTestServer } from '#test/server.ts';
import type { TestServer } from '#test/server.ts';
import { blocksOf, play, stepsOf } from './page-steps.ts';
import { ShellTerminal, absentPrograms } from './terminal.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const page = readFileSync(join(repository, 'docs/access.md'), 'utf8');
const blocks = blocksOf(page);
const absent = absentPrograms(['bash', 'curl', 'script', 'sed']);
const skip = absent.length === 0 ? false : `needs: ${absent.join(', ')}`;

let server: TestServer;
let terminal: ShellTerminal;

before(async () => {
  server = await startTestServer();
  if (skip !== false) return;
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-access-page-'));
  atEnd(async () => rmSync(directory, { recursive: true, force: true }));
  writeFileSync(join(directory, 'token'), server.adminToken, { mode: 0o600 });
  const variables = { SALLYPORT_URL: server.url, SALLYPORT_TOKEN_FILE: join(directory, 'token'), PATH: `${join(repository, 'bin')}:${process.env['PATH']}` };
  terminal = await ShellTerminal.open({ directory, environment: plainEnvironment(variables) });
  atEnd(() => terminal.close());
});

/** Rows of the table with these columns, without what marks code. */
function tableOf(...columns: readonly string[]): string[][] {
  const lines = page.split('\n');
  const head = lines.indexOf(`| ${columns.join(' | ')} |`);
  assert.notEqual(head, -1, `there is no table of ${columns.join(', ')}`);
  const rest = lines.slice(head + 2);
  return rest.slice(0, rest.findIndex((line) => !line.startsWith('|'))).map((line) => line.split(/(?<!\|) \| (?!\|)/).map((cell) => cell.replaceAll(/^\| | \|$/g, '')));
}

function codeIn(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);
}

test('every block of the page is of a known language', () => {
  const pictures = blocks.filter(({ language }) => language === '');
  assert.equal(pictures.length, 1);
  assert.deepEqual([...new Set(blocks.map(({ language }) => language))].toSorted(), ['', 'console', 'yaml']);
});

describe('the page', { skip }, () => {
  for (const { language, text } of blocks) {
    if (language === 'yaml') {
      const documents = parseAllDocuments(text).map((each) => each.toJS() as Record<string, unknown>);
      test(`applies ${documents.map(({ identifier }) => identifier).join(', ')}`, async () => void (await server.apply(documents)));
    }
    if (language === 'console') for (const step of stepsOf({ language, text })) test(step.command, async () => play(terminal, step, new Map()));
  }
});

describe('the tables', { skip }, () => {
  const matchers = [...tableOf('matcher', 'holds when the value', 'for example'), ...tableOf('value', 'is', 'for example')].map(([word = '', , example = '']) => [codeIn(word)[0]!, codeIn(example)[0]!] as const);
  for (const [word, example] of matchers) {
    test(`the example of ${word} is taken`, async () => {
      const [[type, where] = []] = Object.entries(parse(example) as Record<string, object>);
      assert.ok(example.includes(word.replace(/<\w+>/, '')), example);
      await server.apply([{ kind: 'ResourceGroup', identifier: 'example', spec: { includeChildScopes: true, resources: [{ type, where }] } }]);
    });
  }

  for (const [condition = '', type = ''] of tableOf('condition of a selector', 'of')) {
    test(`the condition ${condition} is taken`, async () => {
      const resources = [{ type: codeIn(type)[0], condition: codeIn(condition)[0] }];
      await server.apply([{ kind: 'ResourceGroup', identifier: 'example', spec: { includeChildScopes: true, resources } }]);
    });
  }

  for (const [question = '', ada = '', , bea = ''] of tableOf('question', 'Ada', 'by', 'Bea', 'by')) {
    test(`what Ada and Bea may: ${question}`, async () => {
      const [permission, resource] = codeIn(question);
      for (const [principal, told] of [['user:ada', ada], ['user:bea', bea]] as const) {
        const { body } = await server.call({ method: 'POST', path: `${server.api}/access:check`, body: { principal, permission, resource } });
        assert.equal((body as { allowed: boolean }).allowed, /yes/.test(told), principal);
      }
    });
  }
});
