/** Time to load a world from records in memory. */
import { evaluate } from '#features/access/feature.ts';
import { accessWorld, now } from '../access-world.ts';
import type { Size } from '../access-world.ts';
import { AccessLoad } from '../floor/access-load.ts';
import { interleave, processorSeconds } from '../result.ts';
import type { Ask } from './questions.ts';
import { questionsOf } from './questions.ts';
import type { Figures } from './rates.ts';

const loads = 3;

/** In ms of processor time, the first answer included: what is made lazily for all is part of a load. */
export async function measureLoad(size: Size): Promise<Figures[]> {
  const source = accessWorld(size);
  const bindings = [...source.bindings()];
  const records = { ...source, bindings: () => bindings };
  const entries = [...source.entries()];
  const [ask] = questionsOf(source, { count: 1 }) as [Ask];
  const floor = (): number => timed(() => new AccessLoad(records).allows(ask, now.getTime()));
  const ours = (): number => timed(() => evaluate(source.world(entries), source.kinds, ask.asker, ask.question, now).allowed);
  return [{ case: `${size}: load, ms`, aim: '≤ 2×', ...(await interleave({ rounds: loads, candidates: { floor, ours } })) }];
}

function timed(work: () => unknown): number {
  collect();
  return processorSeconds(() => void work()) * 1e3;
}

/** Twice, since what the first frees may hold the last of something else. */
export function collect(): void {
  if (globalThis.gc === undefined) throw new Error('needs node --expose-gc');
  globalThis.gc();
  globalThis.gc();
}
