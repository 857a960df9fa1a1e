/** `examples/todo`: its page is played by the letter, its people do what they may and may not, and it fails closed. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import { atEnd } from '#test/endings.ts';
import { plainEnvironment } from '#test/serve-process.ts';
import { startTestServer } from '#test/server.ts';
import { routesOf } from '../../examples/todo/application.ts';
import type { Services } from '../../examples/todo/application.ts';
import { HttpTap } from './http-tap.ts';
import { blocksOf, play, stepsOf } from './page-steps.ts';
import { ShellTerminal, absentPrograms } from './terminal.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const example = join(repository, 'examples/todo');
const blocks = blocksOf(readFileSync(join(example, 'README.md'), 'utf8'));
const absent = absentPrograms(['bash', 'curl', 'script']);
const skip = absent.length === 0 ? false : `needs: ${absent.join(', ')}`;

/** What the reader puts in place of what the page cannot know. */
const known = new Map<string, string>();
let tap: HttpTap;
let terminal: ShellTerminal;
let clone: string;
let todo: string;
let stopSallyport: () => Promise<void>;

before(async () => {
  tap = await HttpTap.start();
  const server = await startTestServer({ settings: { publicUrl: tap.url } });
  tap.leadTo(server.url);
  stopSallyport = async () => {
    await server.stop();
    await tap.stop();
  };
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-todo-'));
  atEnd(async () => rmSync(directory, { recursive: true, force: true }));
  clone = join(directory, 'sallyport');
  mkdirSync(clone);
  for (const name of ['bin', 'node_modules']) symlinkSync(join(repository, name), join(clone, name));
  cpSync(join(repository, 'examples'), join(clone, 'examples'), { recursive: true });
  writeFileSync(join(clone, 'token'), server.adminToken, { mode: 0o600 });
  known.set('http://127.0.0.1:8420', tap.url);
  if (skip !== false) return;
  const environment = plainEnvironment({ SALLYPORT_URL: tap.url, SALLYPORT_TOKEN_FILE: join(clone, 'token'), PATH: `${join(clone, 'bin')}:${process.env['PATH']}` });
  terminal = await ShellTerminal.open({ directory: clone, environment });
  atEnd(() => terminal.close());
});

/** As the page says, on a port that is free. */
async function startTodo(command: string): Promise<string> {
  const typed = command.replace('http://127.0.0.1:8420', tap.url).replace('--port 8430', '--port 0').trim();
  const child = spawn('/bin/sh', ['-c', `exec ${typed}`], { cwd: clone, env: plainEnvironment(), stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
  const exit = once(child, 'exit');
  atEnd(async () => {
    child.kill();
    await exit;
  });
  const [line] = (await Promise.race([once(createInterface({ input: child.stdout }), 'line'), exit.then(() => [''])])) as [string];
  const [, url] = /^todo ready (\S+)$/.exec(line) ?? [];
  assert.ok(url !== undefined, `it said \`${line}\` and ${log}`);
  return url;
}

interface Told {
  readonly status: number;
  readonly requestId: string | null;
  readonly body: Readonly<Record<string, unknown>>;
}

async function as(user: string, method: string, path: string, body?: object, headers: Readonly<Record<string, string>> = {}): Promise<Told> {
  const answer = await fetch(`${todo}${path}`, {
    method, headers: { 'x-forwarded-user': user, 'x-forwarded-email': `${user}@example.com`, ...headers }, ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: answer.status, requestId: answer.headers.get('x-request-id'), body: (await answer.json()) as Told['body'] };
}

async function made(user: string, id: string): Promise<void> {
  assert.equal((await as(user, 'POST', '/todos', { id, title: id })).status, 201);
}

test('every block of the page is of a known language, and there is one command that the reader leaves running', () => {
  assert.deepEqual([...new Set(blocks.map(({ language }) => language))].toSorted(), ['console', 'sh']);
  assert.equal(blocks.filter(({ language }) => language === 'sh').length, 1);
});

describe('the page', { skip }, () => {
  // What is told of a Sallyport that does not answer comes when there is none, below.
  for (const block of blocks.slice(0, -1)) {
    if (block.language === 'sh') {
      test(`starts the application: ${block.text.trim()}`, async () => {
        todo = await startTodo(block.text);
        known.set('http://127.0.0.1:8430', todo);
      });
      continue;
    }
    for (const step of stepsOf(block)) test(step.command, async () => play(terminal, step, known));
  }
});

test('every route of the application is registered, so that searches and explanations know of it', () => {
  const documents = parseAllDocuments(readFileSync(join(example, 'access.yaml'), 'utf8')).map((each) => each.toJS() as { kind: string; spec: { type?: string; id?: string; verbs?: string[] } });
  const registered = documents.filter(({ kind, spec }) => kind === 'ExternalResource' && spec.type === 'route').map(({ spec }) => spec.id);
  const routes = routesOf({} as Services);
  assert.deepEqual([...new Set(routes.map(({ path }) => path))].toSorted(), registered.toSorted());
  const verbs = documents.find(({ kind, spec }) => kind === 'ResourceType' && spec.verbs?.includes('put'))!.spec.verbs;
  assert.deepEqual([...new Set(routes.map(({ method }) => method.toLowerCase()))].toSorted(), verbs?.toSorted());
});

describe('the people', { skip }, () => {
  before(async () => {
    for (const id of ['eds', 'eds_done', 'eds_too', 'eds_bin', 'eds_last', 'eds_gone']) await made('ed', id);
    await made('edith', 'ediths');
    assert.equal((await as('ed', 'PUT', '/todos/eds_done', { done: true })).status, 200);
    assert.equal((await as('ed', 'DELETE', '/todos/eds_bin')).status, 200);
  });

  const rename = { title: 'another title' };
  const rows: readonly [guarantee: string, person: string, request: string, body: object | undefined, status: number][] = [
    ['a viewer sees', 'vera', 'GET /todos/eds', undefined, 200],
    ['a viewer does not create', 'vera', 'POST /todos', { id: 'veras', title: 'x' }, 403],
    ['a viewer does not edit', 'vera', 'PUT /todos/eds', rename, 403],
    ['a viewer does not delete', 'vera', 'DELETE /todos/eds', undefined, 403],
    ['an editor sees what is others’', 'ed', 'GET /todos/ediths', undefined, 200],
    ['an editor edits its own', 'ed', 'PUT /todos/eds', rename, 200],
    ['an editor does not edit what is others’', 'ed', 'PUT /todos/ediths', rename, 403],
    ['an editor does not edit what is done', 'ed', 'PUT /todos/eds_done', rename, 403],
    ['an editor puts its own into the bin', 'ed', 'DELETE /todos/eds_too', undefined, 200],
    ['an editor puts what is done into the bin', 'ed', 'DELETE /todos/eds_done', undefined, 200],
    ['an editor leaves what is others’ where it is', 'ed', 'DELETE /todos/ediths', undefined, 403],
    ['an editor deletes nothing for good', 'ed', 'DELETE /todos/eds?for_good=true', undefined, 403],
    ['an admin does not create', 'ada', 'POST /todos', { id: 'adas', title: 'x' }, 403],
    ['an admin does not edit', 'ada', 'PUT /todos/eds', rename, 403],
    ['an admin puts anything into the bin', 'ada', 'DELETE /todos/eds_last', undefined, 200],
    ['an admin deletes anything for good', 'ada', 'DELETE /todos/eds_gone?for_good=true', undefined, 200],
    ['what was deleted for good is gone', 'ada', 'GET /todos/eds_gone', undefined, 404],
    ['an evil genius edits anything', 'eve', 'PUT /todos/ediths', { done: true }, 200],
    ['an evil genius edits what is done', 'eve', 'PUT /todos/ediths', { done: false }, 200],
    ['an evil genius does not create', 'eve', 'POST /todos', { id: 'eves', title: 'x' }, 403],
    ['an evil genius does not delete', 'eve', 'DELETE /todos/eds', undefined, 403],
    ['the administrator of the account may do it all', 'admin', 'PUT /todos/ediths', rename, 200],
    ['somebody unknown sees nothing', 'mallory', 'GET /todos', undefined, 403],
    ['a name that is none sees nothing', '../vera', 'GET /todos', undefined, 403],
    ['an id is given out once', 'ed', 'POST /todos', { id: 'eds', title: 'x' }, 409],
    ['an id of somebody else’s is somebody else’s', 'edith', 'POST /todos', { id: 'eds', title: 'x' }, 403],
    ['what is in the bin is not seen', 'vera', 'GET /todos/eds_bin', undefined, 404],
    ['what is in the bin keeps its id', 'ed', 'POST /todos', { id: 'eds_bin', title: 'x' }, 409],
    ['there is no search for what is not registered', 'vera', 'GET /searches/edit', undefined, 404],
    ['there is nothing elsewhere', 'vera', 'GET /todos/eds/more', undefined, 404],
    ['a body that is none is told', 'ed', 'PUT /todos/eds', [], 400],
  ];
  for (const [guarantee, person, request, body, status] of rows) {
    test(guarantee, async () => {
      const [method = '', path = ''] = request.split(' ');
      const told = await as(person, method, path, body);
      assert.equal(told.status, status, JSON.stringify(told.body));
    });
  }

  test('an address of somebody else does not make an owner', async () => {
    const { status } = await as('ed', 'POST', '/todos', { id: 'false_flag', title: 'x' }, { 'x-forwarded-email': 'edith@example.com' });
    assert.equal(status, 403);
  });

  test('an owner registered with Sallyport wins over what the application says', async () => {
    const file = join(clone, 'todos.json');
    const stored = JSON.parse(readFileSync(file, 'utf8')) as { id: string; owner: string }[];
    const untrue = stored.map((one) => (one.id === 'ediths' ? { ...one, owner: 'ed@example.com' } : one));
    writeFileSync(join(clone, 'untrue.json'), JSON.stringify(untrue));
    const present = todo;
    todo = await startTodo(`${blocks.find(({ language }) => language === 'sh')!.text.trim()} --file untrue.json`);
    assert.equal((await as('ed', 'PUT', '/todos/ediths', rename)).status, 403);
    assert.equal((await as('edith', 'PUT', '/todos/ediths', rename)).status, 200);
    todo = present;
  });

  test('a search is complete page by page', async () => {
    const all = async (person: string, verb: string): Promise<string[]> => {
      const ids: string[] = [];
      for (let next: string | null = ''; next !== null; ) {
        const { body } = await as(person, 'GET', `/searches/${verb}?limit=1${next === '' ? '' : `&token=${encodeURIComponent(next)}`}`);
        ids.push(...(body['ids'] as string[]));
        next = body['next'] as string | null;
      }
      return ids.toSorted();
    };
    const seen = ((await as('vera', 'GET', '/todos')).body['todos'] as { id: string }[]).map(({ id }) => id);
    assert.deepEqual(await all('vera', 'view'), seen);
    assert.deepEqual(await all('edith', 'delete'), ['bread', 'ediths']);
    assert.deepEqual(await all('vera', 'delete'), []);
  });

  test('a list is one question to the decision point, and its way there another', async () => {
    tap.seen.length = 0;
    const { status, requestId } = await as('ed', 'GET', '/todos', undefined, { 'x-request-id': 'one-list' });
    assert.deepEqual([status, requestId], [200, 'one-list']);
    assert.deepEqual(tap.seen.map(({ path, requestId: id }) => [path.split('/').at(-1), id]), [['evaluation', 'one-list'], ['evaluations', 'one-list']]);
  });

  test('a request without an id gets one', async () => {
    tap.seen.length = 0;
    const { requestId } = await as('vera', 'GET', '/todos/eds');
    assert.match(requestId!, /^[0-9a-f-]{36}$/);
    assert.deepEqual(tap.seen.map((one) => one.requestId), [requestId, requestId]);
  });
});

describe('without Sallyport', { skip }, () => {
  let stored: string;

  before(async () => {
    stored = readFileSync(join(clone, 'todos.json'), 'utf8');
    await stopSallyport();
  });

  for (const request of ['GET /todos', 'GET /todos/bread', 'POST /todos', 'PUT /todos/bread', 'DELETE /todos/bread', 'GET /searches/view']) {
    test(`${request} is 503`, async () => {
      const [method = '', path = ''] = request.split(' ');
      const { status } = await as('edith', method, path, method === 'POST' || method === 'PUT' ? { id: 'more', title: 'more' } : undefined);
      assert.equal(status, 503);
    });
  }

  for (const step of stepsOf(blocks.at(-1)!)) test(`as the page says: ${step.command}`, async () => play(terminal, step, known));

  test('nothing has changed', () => assert.equal(readFileSync(join(clone, 'todos.json'), 'utf8'), stored));
});
