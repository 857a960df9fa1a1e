/** The program as an operator uses it: commands that end, servers that run, and a data directory with something in it. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { lockForProcesses } from '#platform/database/directory-lock.ts';
import { socketDirectory } from '#platform/database/socket-directory.ts';
import type { RemoteAnswer, RemoteRequest } from '#platform/remote.ts';
import { callRemote } from '#platform/remote.ts';
import { fastestPlace } from '#test/database/server.ts';
import { plainEnvironment, setUpAdmin, startServe } from '#test/serve-process.ts';
import type { ServeOptions, ServeProcess } from '#test/serve-process.ts';

const program = fileURLToPath(new URL('../../bin/sallyport', import.meta.url));
const commandPatienceMs = 50_000;

/** Everything these tests make is below here. */
export const base = mkdtempSync(join(fastestPlace(), 'sallyport-host-'));
const servers = new Set<ServeProcess>();
const directories = new Set<string>();
let places = 0;

after(async () => {
  for (const server of servers) await server.kill();
  for (const data of directories) await clearAway(data);
  rmSync(base, { recursive: true, force: true });
});

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end. */
export async function sallyport(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const at = args.indexOf('--data');
  if (at !== -1) directories.add(args[at + 1]!);
  const child = spawn(program, args, { env: plainEnvironment(environment), stdio: ['ignore', 'pipe', 'pipe'], timeout: commandPatienceMs, killSignal: 'SIGKILL' });
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit') as Promise<[number | null]>]);
  return { code, stdout, stderr };
}

/** A refused command: its exit code and what it says. */
export async function refused(args: readonly string[], code: number, says: string | RegExp, environment: Readonly<Record<string, string>> = {}): Promise<void> {
  const ended = await sallyport(args, environment);
  assert.equal(ended.code, code, `exit code of ${args.join(' ')}\n${ended.stdout}${ended.stderr}`);
  if (typeof says === 'string') assert.ok(ended.stderr.includes(says), `\`${ended.stderr}\` says \`${says}\``);
  else assert.match(ended.stderr, says);
  assert.doesNotMatch(ended.stderr, /^\s+at .*:\d+:\d+\)?$/m, 'no stack');
}

/** Starts a server on a free port, without a local runner unless it is asked for. */
export async function serve({ flags = [], runner = false, ...options }: ServeOptions & { readonly runner?: boolean }): Promise<ServeProcess> {
  directories.add(options.data);
  const server = await startServe({ ...options, flags: ['--port', '0', ...(runner ? [] : ['--no-runner']), ...flags] });
  servers.add(server);
  void server.exit.then(() => servers.delete(server));
  return server;
}

/** A path nothing is at. */
export function newPlace(name = 'data'): string {
  return join(base, `${++places}-${name}`);
}

/** What the directory of `steadyData` holds. */
export interface Steady {
  readonly data: string;
  readonly token: string;
  /** Values that must never be found anywhere. */
  readonly secrets: readonly string[];
}

export const secretValue = 'correct-horse-battery-staple-4711';

export const documents = [
  { kind: 'Organization', identifier: 'payments', spec: {} },
  { kind: 'Project', scope: 'payments', identifier: 'checkout', name: 'Schön 🗝', description: 'two\nlines\u2028', tags: { team: 'a "b"\\' }, spec: {} },
  { kind: 'ServiceAccount', identifier: 'ci', spec: {} },
  { kind: 'Secret', scope: 'payments', identifier: 'db_password', spec: { type: 'text', value: secretValue } },
];

let steady: Promise<Steady> | undefined;

/** A stopped server's data with an administrator and resources. Not to be changed: tests work on `copyOf` it. */
export function steadyData(): Promise<Steady> {
  return (steady ??= makeSteady());
}

async function makeSteady(): Promise<Steady> {
  const data = newPlace('steady');
  const server = await serve({ data });
  const token = await setUpAdmin(server, data);
  const answer = await call(server, token, { method: 'POST', path: '/manifests:apply', body: { documents } });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  await server.stop();
  return { data, token, secrets: [secretValue, token] };
}

export function copyOf({ data }: Pick<Steady, 'data'>): string {
  const path = newPlace();
  assert.equal(spawnSync('cp', ['-a', data, path]).status, 0);
  return path;
}

export function call({ url }: Pick<ServeProcess, 'url'>, token: string | null, request: RemoteRequest): Promise<RemoteAnswer> {
  return callRemote({ url, token }, { ...request, path: `/api/v1/accounts/default${request.path}` });
}

/** Everything an administrator sees of the resources. */
export async function resourcesOf(server: Pick<ServeProcess, 'url'>, token: string): Promise<unknown[]> {
  const collections = ['/organizations', '/orgs/payments/projects', '/orgs/payments/secrets', '/users', '/service-accounts', '/role-bindings'];
  const answers = await Promise.all(collections.map((path) => call(server, token, { method: 'GET', path })));
  return answers.map(({ status, body }, at) => {
    assert.equal(status, 200, `${collections[at]}: ${JSON.stringify(body)}`);
    return body;
  });
}

/** What is left of a database whose server was killed. */
async function clearAway(data: string): Promise<void> {
  if (!existsSync(join(data, 'postgres.lock'))) return;
  const lock = await lockForProcesses(data, { onBusy: () => {}, patienceMs: 20_000 });
  lock.release();
  rmSync(socketDirectory(realpathSync(data)), { recursive: true, force: true });
}
