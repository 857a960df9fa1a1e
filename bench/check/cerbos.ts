/**
 * The Cerbos PDP in a process of its own, asked the same questions over HTTP. It holds no bindings, so whoever asks sends
 * those of the principal and the attributes of the resource along; ours looks both up.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { arch, platform, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { json } from '../load.ts';
import type { LoadRequest } from '../load.ts';
import type { Question } from './project-world.ts';
import { grantsOfFirst, partsOf } from './project-world.ts';

export interface Cerbos {
  readonly url: string;
  readonly pid: number;
  readonly requests: readonly LoadRequest[];
  stop(): Promise<void>;
}

const startMs = 30_000;
const stepMs = 100;

/** Null, with the reason on standard error, where the package has no program for this machine or was not installed. */
export async function startCerbos(asked: readonly Question[]): Promise<Cerbos | null> {
  const program = join(import.meta.dirname, '..', 'peers', 'node_modules', '@cerbos', `cerbos-${platform()}-${arch()}`, `cerbos-${platform()}-${arch()}`);
  if (!existsSync(program)) {
    console.error(`check over HTTP: the Cerbos PDP is absent: there is no ${program}`);
    return null;
  }
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-bench-cerbos-'));
  const port = await freePort();
  const child = await spawnCerbos({ program, folder, port }, asked);
  const cerbos: Cerbos = {
    url: `http://127.0.0.1:${port}`, pid: child.pid!, requests: asked.map(requestOf),
    async stop() {
      if (child.exitCode === null) {
        child.kill('SIGTERM');
        await once(child, 'exit');
      }
      await rm(folder, { recursive: true, force: true });
    },
  };
  try {
    await untilReady(cerbos.url);
    for (const question of asked) await checkAnswer(cerbos.url, question);
    return cerbos;
  } catch (error) {
    await cerbos.stop();
    throw error;
  }
}

async function spawnCerbos({ program, folder, port }: { readonly program: string; readonly folder: string; readonly port: number }, asked: readonly Question[]): Promise<ChildProcess> {
  const policies = join(folder, 'policies');
  await mkdir(policies);
  for (const [kind, ofKind] of Map.groupBy(asked.map(partsOf), ({ kind }) => kind)) {
    await writeFile(join(policies, `${kind}.json`), JSON.stringify(policyOf(kind, [...new Set(ofKind.map(({ verb }) => verb))])));
  }
  const settings = {
    server: { httpListenAddr: `127.0.0.1:${port}`, grpcListenAddr: `unix:${join(folder, 'grpc.sock')}` },
    storage: { driver: 'disk', disk: { directory: policies, watchForChanges: false } },
    telemetry: { disabled: true },
  };
  await writeFile(join(folder, 'settings.json'), JSON.stringify(settings));
  return spawn(program, ['server', '--config', join(folder, 'settings.json'), '--log-level', 'error'], { stdio: 'ignore' });
}

/** One rule for each verb: some grant has the permission, reaches the scope, and its condition is met. */
function policyOf(kind: string, verbs: readonly string[]) {
  const reaches = '(R.attr.scope == g.scope || (g.below && R.attr.scope.startsWith(g.scope + "/")))';
  const isMet = '(!has(g.type) || (has(R.attr.type) && R.attr.type == g.type))';
  const rules = verbs.map((verb) => ({
    actions: [verb], effect: 'EFFECT_ALLOW', roles: ['user'],
    condition: { match: { expr: `P.attr.grants.exists(g, "${kind}.${verb}" in g.permissions && ${reaches} && ${isMet})` } },
  }));
  return { apiVersion: 'api.cerbos.dev/v1', resourcePolicy: { resource: kind, version: 'default', rules } };
}

function requestOf(question: Question): LoadRequest {
  const { kind, verb, identifier, scope, attributes } = partsOf(question);
  const principal = { id: 'u0', roles: ['user'], attr: { grants: grantsOfFirst } };
  const resources = [{ actions: [verb], resource: { kind, id: identifier, attr: { scope, ...attributes } } }];
  return { path: '/api/check/resources', headers: json, body: JSON.stringify({ principal, resources }) };
}

async function checkAnswer(url: string, question: Question): Promise<void> {
  const { path, headers, body } = requestOf(question);
  const answer = (await (await fetch(url + path, { method: 'POST', headers, body })).json()) as { readonly results: readonly { readonly actions: Readonly<Record<string, string>> }[] };
  const effect = answer.results[0]!.actions[partsOf(question).verb];
  if ((effect === 'EFFECT_ALLOW') !== question.allowed) throw new Error(`Cerbos: ${question.permission} on ${question.resource}: ${effect}, but it should be the other way round`);
}

async function untilReady(url: string): Promise<void> {
  for (let waitedMs = 0; waitedMs < startMs; waitedMs += stepMs) {
    const isReady = await fetch(`${url}/_cerbos/health`).then(({ ok }) => ok, () => false);
    if (isReady) return;
    await sleep(stepMs);
  }
  throw new Error('the Cerbos PDP does not start');
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
