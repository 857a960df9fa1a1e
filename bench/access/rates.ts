/** Checks in process: rates by processor time and times of single checks, the floor and the engine in turn in one process. */
import { evaluate } from '#features/access/feature.ts';
import type { World } from '#kernel/world.ts';
import { accessWorld, now } from '../access-world.ts';
import type { AccessWorld, Size } from '../access-world.ts';
import { AccessIndex } from '../floor/access-index.ts';
import { interleave, processorSeconds } from '../result.ts';
import type { Ask } from './questions.ts';
import { questionsOf } from './questions.ts';

/** What a case measured: a row without its median. */
export interface Figures {
  readonly case: string;
  readonly aim?: string;
  readonly ours: readonly number[];
  readonly floor: readonly number[];
}

export type Check = (ask: Ask) => boolean;

export const rounds = 5;
export const coldQuestions = 20_000;
const hotQuestions = 500;
const asksPerRound = 100_000;
const aims: Readonly<Partial<Record<Size, string>>> = { '50k': '≥ 0.7×', '1M': '≥ 0.6×' };

/** Both are asked everything once before, so that what is compiled for a principal once is compiled. */
export async function measureRates(size: Size): Promise<Figures[]> {
  const source = accessWorld(size);
  const engines = { floor: floorCheck(source), ours: ourCheck(source, source.world()) };
  const cold = questionsOf(source, { count: coldQuestions });
  const hot = cold.slice(0, hotQuestions);
  const figures: Figures[] = [];
  for (const [name, asks] of [['cold-mixed', cold], ['hot', hot]] as const) {
    const yes = mustAgree(engines, asks);
    const rate = (check: Check) => (): number => checksPerSecond(check, asks, yes);
    const aim = name === 'cold-mixed' && size in aims ? { aim: aims[size]! } : {};
    figures.push({ case: `${size}, ${name}: checks per second`, ...aim, ...(await interleave({ rounds, candidates: { floor: rate(engines.floor), ours: rate(engines.ours) } })) });
    const times = await interleave({ rounds, candidates: { floor: () => timesOf(engines.floor, asks), ours: () => timesOf(engines.ours, asks) } });
    // The slowest hot checks are faster than anything the machine does besides, so their time says nothing.
    for (const share of name === 'hot' ? (['p50'] as const) : (['p50', 'p99'] as const)) figures.push({ case: `${size}, ${name}: ${share} in µs`, ours: times.ours.map((one) => one[share]), floor: times.floor.map((one) => one[share]) });
  }
  return figures;
}

/** p50 of hot questions where there are twenty times as many bindings and as many for each principal; the floor is ours at 50 k. */
export async function measureGrowth(): Promise<Figures[]> {
  const checks = (['50k', 'flat'] as const).map((size) => {
    const source = accessWorld(size);
    const asks = questionsOf(source, { count: hotQuestions });
    const check = ourCheck(source, source.world());
    mustAgree({ floor: floorCheck(source), ours: check }, asks);
    return (): number => timesOf(check, asks).p50;
  });
  return [{ case: 'hot p50 in µs at 1M bindings against 50k', aim: '≤ 2×', ...(await interleave({ rounds, candidates: { floor: checks[0]!, ours: checks[1]! } })) }];
}

export function ourCheck({ kinds }: AccessWorld, world: World): Check {
  return ({ asker, question }) => evaluate(world, kinds, asker, question, now).allowed;
}

export function floorCheck(source: AccessWorld): Check {
  const index = new AccessIndex(source);
  const nowMs = now.getTime();
  return (ask) => index.allows(ask, nowMs);
}

/** How many are answered yes, which is the same for all. */
export function mustAgree(engines: Readonly<Record<string, Check>>, asks: readonly Ask[]): number {
  const answers = Object.entries(engines).map(([name, check]) => ({ name, answers: asks.map(check) }));
  for (const [n, ask] of asks.entries()) {
    const said = answers.map((one) => one.answers[n]);
    if (new Set(said).size > 1) throw new Error(`${answers.map(({ name }) => name).join(', ')} answer ${said.join(', ')} to ${JSON.stringify(ask)}`);
  }
  return answers[0]!.answers.filter(Boolean).length;
}

/** Per second of processor time. */
export function checksPerSecond<Asked>(check: (asked: Asked) => boolean, asks: readonly Asked[], yes: number, atLeast = asksPerRound): number {
  const passes = Math.ceil(atLeast / asks.length);
  let allowed = 0;
  const seconds = processorSeconds(() => {
    for (let pass = 0; pass < passes; pass += 1) for (const ask of asks) if (check(ask)) allowed += 1;
  });
  if (allowed !== yes * passes) throw new Error(`${allowed} of ${passes * asks.length} were allowed, ${yes * passes} should be`);
  return (passes * asks.length) / seconds;
}

interface Times {
  readonly p50: number;
  readonly p99: number;
}

/** Of twenty thousand checks, in µs; the calmest of three passes. */
function timesOf(check: Check, asks: readonly Ask[]): Times {
  const passes = Array.from({ length: 3 }, () => timesOfPass(check, asks));
  const calmest = (share: number): number => Math.min(...passes.map((rising) => rising[Math.floor(rising.length * share)]!));
  return { p50: calmest(0.5), p99: calmest(0.99) };
}

/** In rising order. */
function timesOfPass(check: Check, asks: readonly Ask[]): Float64Array {
  const times = new Float64Array(coldQuestions);
  for (let n = 0; n < times.length; n += 1) {
    const ask = asks[n % asks.length]!;
    const start = performance.now();
    check(ask);
    times[n] = (performance.now() - start) * 1e3;
  }
  return times.sort();
}
