/**
 * Outside tokens as credentials, where their issuer's document says `acceptDirectly: true`: the same way as an exchange,
 * once per token. What comes out is a session, found again by the token's hash; it ends as every session does.
 */
import { createHash } from 'node:crypto';
import type { Recorder } from '#features/audit/feature.ts';
import type { Caller } from '#kernel/caller.ts';
import { Refusal } from '#kernel/errors.ts';
import type { Presented, Recogniser } from '#kernel/manifest.ts';
import type { Act } from '#platform/call.ts';
import { Rerun } from '#kernel/operation.ts';
import type { Randomness } from '#platform/clock.ts';
import { findIssuer } from './account-trust.ts';
import type { ExchangeCall, ExchangeServices } from './exchange.ts';
import { prepareSession, writeSession } from './exchange.ts';
import { readToken } from './jwt.ts';
import type { LiveServices } from './recognise.ts';
import { liveSession } from './recognise.ts';
import type { IssuerFacts } from './schema.ts';
import { findDirectSession } from './store.ts';

export interface DirectServices extends ExchangeServices, LiveServices {
  readonly record: Recorder;
  readonly randomness: Pick<Randomness, 'uid'>;
}

const maxKnown = 20_000;

export function outsideRecogniser(services: DirectServices): Recogniser {
  /** Account and hash of the token → session. */
  const known = new Map<string, string>();
  const opening = new Map<string, Promise<string | null>>();

  function remember(key: string, sessionId: string): string {
    if (known.size >= maxKnown) known.delete(known.keys().next().value!);
    known.set(key, sessionId);
    return sessionId;
  }

  async function sessionOf(presented: Presented, tokenHash: Buffer, key: string): Promise<string | null> {
    await presented.admitStranger();
    const { accountId, token } = presented;
    const world = await services.snapshots.world(accountId);
    const issuer = findIssuer(world, readToken(token).unverifiedIssuer);
    if (issuer === undefined || !takesDirectly(issuer.facts)) return null;
    const sessionId = (await findDirectSession(services.database.read, accountId, tokenHash)) ?? (await openSession(services, presented, world));
    return remember(key, sessionId);
  }

  /** Of many requests with a new token one opens the session. */
  function sessionOnce(presented: Presented, tokenHash: Buffer, key: string): Promise<string | null> {
    let promise = opening.get(key);
    if (promise === undefined) {
      promise = sessionOf(presented, tokenHash, key).catch(nullIfRefused).finally(() => opening.delete(key));
      opening.set(key, promise);
    }
    return promise;
  }

  return {
    name: 'outside',
    matches: (token) => looksOutside(token) && !services.tokens.isOurs(token),
    async authenticate(presented): Promise<Caller | null> {
      const { accountId, token, now } = presented;
      const tokenHash = createHash('sha256').update(token).digest();
      const key = `${accountId} ${tokenHash.toString('base64')}`;
      const id = known.get(key) ?? (await sessionOnce(presented, tokenHash, key));
      return id === null ? null : ((await liveSession(services, accountId, id, now))?.caller ?? null);
    },
  };
}

/** True for what any of our issuers may sign: no token of a runner, and no proof. */
function looksOutside(token: string): boolean {
  if (!token.startsWith('eyJ')) return false;
  try {
    const { typ } = readToken(token).header;
    return typ === undefined || ['jwt', 'at+jwt'].includes(typ.toLowerCase().replace(/^application\//, ''));
  } catch (error) {
    return nullIfRefused(error) !== null;
  }
}

const maxTries = 4;

/** Again when another exchange pinned the same name meanwhile. */
async function openSession(services: DirectServices, presented: Presented, world: ExchangeCall['world']): Promise<string> {
  for (let tries = 1; ; tries++) {
    try {
      return await tryOpening(services, presented, world);
    } catch (error) {
      if (!(error instanceof Rerun) || tries >= maxTries) throw error;
    }
  }
}

async function tryOpening(services: DirectServices, presented: Presented, world: ExchangeCall['world']): Promise<string> {
  const { accountId, account, token, now, address, requestId } = presented;
  const call: ExchangeCall = { account: { id: accountId, identifier: account }, world, revision: world.revision, now, address, requestId, uid: services.randomness.uid };
  const ready = await prepareSession(services, call, { token, wish: null, confirmation: null, isAssertion: false, isDirect: true });
  const isNew = await services.database.transaction(async (tx) => {
    const acts: Act[] = [];
    const opened = await writeSession(tx, { ...call, note: (act) => void acts.push(act) }, ready, services);
    if (opened) await services.record(tx, { accountId, now, caller: null, address, requestId, action: 'session.create' }, acts);
    return opened;
  });
  if (isNew) services.met.remember(accountId, ready.mappings);
  if (isNew) services.metrics.exchanges.inc({ outcome: 'success' });
  return isNew ? ready.session.id : (await findDirectSession(services.database.read, accountId, ready.session.tokenHash))!;
}

function takesDirectly({ spec }: IssuerFacts): boolean {
  return spec.acceptDirectly === true;
}

/** The cause is in the audit. That keys cannot be had now is worth another try, and said. */
function nullIfRefused(error: unknown): null {
  if (error instanceof Refusal && error.code.startsWith('trust.') && error.code !== 'trust.keys_unavailable') return null;
  throw error;
}
