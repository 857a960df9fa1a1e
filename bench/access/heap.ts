/**
 * Memory that stays, of one engine in a process of its own: `heap.ts ENGINE SIZE`. The records are made while they are
 * read, so each engine keeps what it keeps.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { accessWorld, now } from '../access-world.ts';
import type { AccessWorld, Size } from '../access-world.ts';
import { AccessLoad } from '../floor/access-load.ts';
import { collect } from './load-time.ts';
import type { Ask } from './questions.ts';
import { questionsOf } from './questions.ts';
import type { Check, Figures } from './rates.ts';
import { floorCheck, ourCheck } from './rates.ts';

const activePrincipals = 5_000;

const engines: Readonly<Record<string, (source: AccessWorld) => Check>> = {
  ours: (source) => ourCheck(source, source.world()),
  index: floorCheck,
  load: (source) => {
    const loaded = new AccessLoad(source);
    return (ask) => loaded.allows(ask, now.getTime());
  },
};

interface Memory {
  /** Bytes, the first answer included. */
  readonly loaded: number;
  /** Bytes more for each principal that has asked. */
  readonly perPrincipal: number;
}

export async function measureHeap(size: Size): Promise<Figures[]> {
  const [ours, load, index] = [await memoryOf('ours', size), await memoryOf('load', size), await memoryOf('index', size)];
  return [
    { case: `${size}: memory, MB`, aim: '≤ 2.5×', ours: [ours.loaded / 1e6], floor: [load.loaded / 1e6] },
    { case: `${size}: memory per active principal, KB, against the bare index`, aim: '≤ 32 KB', ours: [ours.perPrincipal / 1e3], floor: [index.perPrincipal / 1e3] },
  ];
}

async function memoryOf(engine: string, size: Size): Promise<Memory> {
  const { stdout } = await promisify(execFile)(process.execPath, [...process.execArgv, import.meta.filename, engine, size]);
  return JSON.parse(stdout) as Memory;
}

function measureMemory(engine: string, size: Size): Memory {
  const source = accessWorld(size);
  const asks = oneAskEach(source);
  const before = used();
  const check = engines[engine]!(source);
  check(asks[0]!);
  const loaded = used();
  for (const ask of asks) check(ask);
  const asked = used();
  check(asks[0]!);
  return { loaded: loaded - before, perPrincipal: (asked - loaded) / asks.length };
}

/** One question of each of five thousand principals. */
function oneAskEach(source: AccessWorld): Ask[] {
  const byPrincipal = new Map(questionsOf(source, { count: 4 * activePrincipals }).map((ask) => [ask.asker.principal.uid, ask]));
  return [...byPrincipal.values()].slice(0, activePrincipals);
}

function used(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

if (import.meta.main) console.log(JSON.stringify(measureMemory(process.argv[2]!, process.argv[3] as Size)));
