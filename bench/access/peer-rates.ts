/** Checks per second of the engine and of one peer, in turn in one process; the peer's figures are in the floor's column. */
import { accessWorld } from '../access-world.ts';
import type { AccessWorld, Size } from '../access-world.ts';
import { interleave } from '../result.ts';
import { PlainGrants } from './grants.ts';
import { caslReady, casbinReady, cedarReady, isAnsweredByRolesAlone } from './peer-engines.ts';
import type { PeerInput, Ready } from './peer-engines.ts';
import type { Ask } from './questions.ts';
import { questionsOf } from './questions.ts';
import type { Check, Figures } from './rates.ts';
import { checksPerSecond, coldQuestions, mustAgree, ourCheck, rounds } from './rates.ts';

interface Scene {
  readonly source: AccessWorld;
  readonly ours: Check;
  readonly input: PeerInput;
}

/** 223 KB of abilities for each principal: a thousand of them ask. */
export async function measureCasl(size: Size): Promise<Figures[]> {
  const { ours, input } = sceneOf(size, { count: coldQuestions, principals: 1_000 });
  const ready = await caslReady(input);
  return [await compared(`${size}: checks per second against CASL with kept abilities`, '≥ 1.0×', { ours, asks: input.asks, ready, atLeast: 100_000 })];
}

export async function measureCedar(size: Size): Promise<Figures[]> {
  const { ours, input } = sceneOf(size, { count: 1_000, principals: 200 });
  const ready = await cedarReady(input);
  return [await compared(`${size}: checks per second against Cedar with a preparsed slice`, '≥ 100×', { ours, asks: input.asks, ready, atLeast: 1_000 })];
}

/** casbin is asked only what it can answer. */
export async function measureCasbin(size: Size): Promise<Figures[]> {
  const { ours, input } = sceneOf(size, { count: 2_000 });
  const fits = isAnsweredByRolesAlone(input);
  const asks = input.asks.filter((ask) => fits(ask, ours(ask))).slice(0, 300);
  const ready = await casbinReady({ ...input, asks });
  const yes = mustAgree({ casbin: (ask) => ready.sync[asks.indexOf(ask)]!(), ours }, asks);
  const awaited = { case: `${size}: checks per second against casbin with domains`, aim: '≥ 500×', ...(await interleave({
    rounds, candidates: { floor: () => awaitedPerSecond(ready.async), ours: () => checksPerSecond(ours, asks, yes) },
  })) };
  return [awaited, await compared(`${size}: the same, casbin called without await`, undefined, { ours, asks, ready: ready.sync, atLeast: asks.length })];
}

function sceneOf(size: Size, plan: { readonly count: number; readonly principals?: number }): Scene {
  const source = accessWorld(size);
  return { source, ours: ourCheck(source, source.world()), input: { records: source, grants: new PlainGrants(source), asks: questionsOf(source, plan) } };
}

async function compared(
  name: string, aim: string | undefined,
  { ours, asks, ready, atLeast }: { readonly ours: Check; readonly asks: readonly Ask[]; readonly ready: readonly Ready[]; readonly atLeast: number },
): Promise<Figures> {
  const byAsk = new Map(asks.map((ask, n) => [ask, ready[n]!]));
  const yes = mustAgree({ peer: (ask) => byAsk.get(ask)!(), ours }, asks);
  const calls = asks.map((_, n) => n);
  const peerRate = (): number => checksPerSecond((n) => ready[n]!(), calls, yes, atLeast);
  return { case: name, ...(aim === undefined ? {} : { aim }), ...(await interleave({ rounds, candidates: { floor: peerRate, ours: () => checksPerSecond(ours, asks, yes) } })) };
}

async function awaitedPerSecond(checks: readonly (() => Promise<boolean>)[]): Promise<number> {
  const before = process.cpuUsage();
  for (const check of checks) await check();
  const { user, system } = process.cpuUsage(before);
  return checks.length / ((user + system) / 1e6);
}
