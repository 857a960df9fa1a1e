/**
 * What verifiers fetch: `/jwks` and discovery over HTTP with 32 connections, against the framework's route that does
 * nothing. Both answer about as much as that takes in; the keys are those of an account that has signed.
 */
import { callRemote } from '#platform/remote.ts';
import { startTrivialRoute } from './floor/trivial-route.ts';
import { json, postRates, rowsOf, startBenchServer } from './load.ts';
import type { LoadRequest, Rates } from './load.ts';
import { benchResult, interleave, runAndPrint } from './result.ts';
import type { BenchResult } from './result.ts';

const rounds = 3;

/** The load of the others, asked by GET. */
const get = (path: string): LoadRequest => ({ path, headers: {}, method: 'GET' }) as unknown as LoadRequest;

export async function run(): Promise<BenchResult> {
  const [floor, server] = await Promise.all([startTrivialRoute(), startBenchServer()]);
  try {
    const jwks = '/accounts/default/jwks';
    const discovery = '/accounts/default/.well-known/openid-configuration';
    const { body } = await callRemote({ url: server.url, token: null }, { method: 'GET', path: jwks });
    if ((body as { keys: unknown[] }).keys.length < 2) throw new Error('there are no keys to fetch');
    const figures = await interleave<'trivial' | 'jwks' | 'discovery', Rates>({
      rounds,
      candidates: {
        trivial: () => postRates(floor, [{ path: '/', headers: json, body: '{}' }]), jwks: () => postRates(server, [get(jwks)]), discovery: () => postRates(server, [get(discovery)]),
      },
    });
    const rows = (['jwks', 'discovery'] as const).flatMap((name) => rowsOf(name, { ours: figures[name], floor: figures.trivial, aim: '≥ 0.8×' }));
    return benchResult({ name: 'published documents', unit: 'answers per second', rows });
  } finally {
    await Promise.all([floor.stop(), server.stop()]);
  }
}

if (import.meta.main) await runAndPrint(run);
