/** Right before fast: floors, engine and peers answer alike, and as a reading of every binding does. */
import { accessWorld, now } from '../access-world.ts';
import type { Size } from '../access-world.ts';
import { AccessIndex } from '../floor/access-index.ts';
import { AccessLoad } from '../floor/access-load.ts';
import { BruteForce } from './brute-force.ts';
import { PlainGrants } from './grants.ts';
import { caslReady, casbinReady, cedarReady, isAnsweredByRolesAlone } from './peer-engines.ts';
import type { PeerInput, Ready } from './peer-engines.ts';
import type { Ask } from './questions.ts';
import { questionsOf } from './questions.ts';
import type { Figures } from './rates.ts';
import { coldQuestions, mustAgree, ourCheck } from './rates.ts';

/** Gives no figures: throws at the first wrong answer. */
export async function checkAgreement(size: Size, peers: readonly string[]): Promise<Figures[]> {
  const source = accessWorld(size);
  const nowMs = now.getTime();
  const [index, load] = [new AccessIndex(source), new AccessLoad(source)];
  const ours = ourCheck(source, source.world());
  const asks = questionsOf(source, { count: coldQuestions });
  mustAgree({ index: (ask) => index.allows(ask, nowMs), load: (ask) => load.allows(ask, nowMs), ours }, asks);
  const read = new BruteForce(source);
  mustAgree({ 'every binding': (ask) => read.allows(ask, nowMs), ours }, asks.slice(0, size === 'small' ? 3_000 : 300));
  const input = { records: source, grants: new PlainGrants(source), asks: questionsOf(source, { count: 1_000, principals: 100, seed: 2 }) };
  await peersAgree(input, ours, peers);
  return [];
}

async function peersAgree(input: PeerInput, ours: (ask: Ask) => boolean, peers: readonly string[]): Promise<void> {
  const { asks } = input;
  const agree = (name: string, ready: readonly Ready[]): void => void mustAgree({ [name]: (ask) => ready[asks.indexOf(ask)]!(), ours }, asks);
  if (peers.includes('casl')) agree('CASL', await caslReady(input));
  if (peers.includes('cedar')) agree('Cedar', await cedarReady(input));
  if (!peers.includes('casbin')) return;
  const fits = isAnsweredByRolesAlone(input);
  const comparable = asks.filter((ask) => fits(ask, ours(ask))).slice(0, 200);
  const { sync, async } = await casbinReady({ ...input, asks: comparable });
  const awaited = await Promise.all(async.map((check) => check()));
  mustAgree({ casbin: (ask) => sync[comparable.indexOf(ask)]!(), 'casbin, awaited': (ask) => awaited[comparable.indexOf(ask)]!, ours }, comparable);
}
