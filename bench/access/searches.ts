/**
 * First pages of who can and what can in a large world, cold principals and resources mixed. The floor is what one would
 * do with a bare index: ask it about one after the other until the page is full. What was found is asked again.
 */
import type { Asker } from '#features/access/feature.ts';
import { evaluate } from '#features/access/feature.ts';
import { whatCan } from '#features/questions/what-can.ts';
import { whoCan } from '#features/questions/who-can.ts';
import { accessWorld, now } from '../access-world.ts';
import type { AccessWorld, Size } from '../access-world.ts';
import { interleave, median } from '../result.ts';
import type { Ask } from './questions.ts';
import { questionsOf } from './questions.ts';
import type { Check, Figures } from './rates.ts';
import { floorCheck, rounds } from './rates.ts';

const pageSize = 50;
const pages = 200;
const tries = 5;
/** Nobody would look further with a bare index. */
const maxAskedByFloor = 20_000;

export async function measureSearches(size: Size): Promise<Figures[]> {
  const source = accessWorld(size);
  const world = source.world();
  const asks = questionsOf(source, { count: pages });
  const askers = source.principals.slice(0, maxAskedByFloor).map(({ type, uid }): Asker => ({ accountId: source.accountId, principal: { type, uid, path: uid }, bounds: 'principal' }));
  const check = floorCheck(source);
  const who = ({ question }: Ask): number => {
    const { items } = whoCan({ world, kinds: source.kinds, question, now }, { types: ['user'], after: null, limit: pageSize });
    for (const item of items) if (item.type !== 'workload' && !item.decision.allowed) throw new Error(`${item.path} was found and is not allowed`);
    return items.length;
  };
  const what = ({ asker }: Ask): number => {
    const { items } = whatCan({ world, kinds: source.kinds, asker, now }, { kind: null, permission: null, within: '/', after: null, limit: pageSize });
    return items.length;
  };
  prove(source, asks.slice(0, 20));
  return [
    ...(await figuresOf(`${size}: first page of who can`, asks, { floor: (ask) => floorWho(check, askers, ask), ours: who })),
    ...(await figuresOf(`${size}: first page of what can`, asks, { floor: (ask) => floorWhat(check, asks, ask), ours: what })),
  ];

  /** Whom a page names is allowed, and whoever comes before its end and is not named is not. */
  function prove({ kinds }: AccessWorld, some: readonly Ask[]): void {
    for (const { question } of some) {
      const { items } = whoCan({ world, kinds, question, now }, { types: ['user'], after: null, limit: pageSize });
      const named = new Set(items.map(({ path }) => path));
      const last = items.length === pageSize ? items.at(-1)!.path : '\uffff';
      const earlier = [...world.list('user')].filter(({ identifier }) => identifier <= last).slice(0, 2_000);
      for (const { uid, identifier } of earlier) {
        const asker: Asker = { accountId: source.accountId, principal: { type: 'user', uid, path: identifier }, bounds: 'principal' };
        if (evaluate(world, kinds, asker, question, now).allowed !== named.has(identifier)) throw new Error(`who can is wrong about ${identifier}: ${JSON.stringify(question)}`);
      }
    }
  }
}

function floorWho(check: Check, askers: readonly Asker[], { question }: Ask): number {
  let found = 0;
  for (const asker of askers) if (check({ asker, question }) && ++found === pageSize) break;
  return found;
}

function floorWhat(check: Check, asks: readonly Ask[], { asker }: Ask): number {
  let found = 0;
  for (const { question } of asks) if (check({ asker, question }) && ++found === pageSize) break;
  return found;
}

async function figuresOf(name: string, asks: readonly Ask[], engines: { readonly floor: (ask: Ask) => number; readonly ours: (ask: Ask) => number }): Promise<Figures[]> {
  for (const ask of asks) engines.ours(ask);
  const times = await interleave({ rounds, candidates: { floor: () => timesOf(engines.floor, asks), ours: () => timesOf(engines.ours, asks) } });
  return (['p50', 'p99'] as const).map((share) => ({
    case: `${name}: ${share} in ms`, ...(share === 'p99' ? { aim: '< 10 ms' } : {}), ours: times.ours.map((one) => one[share]), floor: times.floor.map((one) => one[share]),
  }));
}

/** By the clock. Of each page the median of some tries: on a busy machine one of them may have waited for a processor. */
function timesOf(page: (ask: Ask) => number, asks: readonly Ask[]): { readonly p50: number; readonly p99: number } {
  const times = asks.map((ask) => median(Array.from({ length: tries }, () => {
    const start = performance.now();
    page(ask);
    return performance.now() - start;
  }))).toSorted((a, b) => a - b);
  return { p50: times[Math.floor(times.length * 0.5)]!, p99: times[Math.floor(times.length * 0.99)]! };
}
