/**
 * Keys of issuers, kept between tokens. They are asked for again before they are old, when a token names one that is not
 * known, and never more often than the issuer can bear; what worked goes on working for a day while an issuer is away,
 * over restarts too. An empty or broken set never replaces a good one.
 */
import { refusal } from '#kernel/errors.ts';
import type { Database } from '#platform/database/database.ts';
import type { Metrics } from '#platform/metrics.ts';
import type { FetchedKeys, FetchServices } from './fetch-keys.ts';
import { fetchKeys, readKeys } from './fetch-keys.ts';
import type { CompactToken } from './jwt.ts';
import type { IssuerFacts, KeySource } from './schema.ts';
import { findKeys, saveKeys } from './store.ts';
import type { KeySet } from './verify.ts';
import { hasKeyFor } from './verify.ts';

export interface RegisteredIssuer {
  readonly accountId: string;
  readonly uid: string;
  readonly facts: IssuerFacts;
}

export interface IssuerKeys {
  /** The keys to verify this token with. Throws `trust.keys_unavailable`. */
  keysFor(issuer: RegisteredIssuer, token: CompactToken): Promise<KeySet>;
  /** How it stands with the keys, as this node knows; asks the issuer nothing. */
  health(issuer: RegisteredIssuer): Promise<KeyHealth>;
}

export interface KeyHealth {
  readonly from: KeySource['from'];
  /** Null = there is no key to verify a token with. */
  readonly set: KeySet | null;
  /** Null for keys in the document, and when they were never had. */
  readonly fetchedAt: Date | null;
  /** When this node asked last, whatever came of it; null = not since it started. */
  readonly askedAt: Date | null;
  /** What went wrong the last time this node asked; null = nothing. */
  readonly because: string | null;
  /** From when on the next token has them asked for again; null = never. */
  readonly refreshAt: Date | null;
  /** Until when they are believed without a word from the issuer; null = for good, or not at all. */
  readonly believedUntil: Date | null;
}

/** From here on they are asked for again beside the work; from `waitMs` on the work waits for the answer. */
const refreshMs = 5 * 60_000;
const waitMs = 15 * 60_000;
/** How long keys are believed without a word from the issuer. */
const staleMs = 24 * 3_600_000;
/** A token that names an unknown key makes at most one call in this time. */
const cooldownMs = 30_000;
/** An issuer whose keys nobody has yet is tried again after this. */
const retryMs = 5_000;
const maxIssuers = 10_000;
/** So many requests wait for one issuer at a time; others are answered by what is there, so that its trouble stays its own. */
const maxWaiting = 50;

interface Held {
  readonly fingerprint: string;
  set: KeySet | null;
  /** By the clock, since it outlives the process. */
  fetchedAtMs: number;
  /** Monotonic; of the last attempt, whatever came of it. */
  triedMs: number;
  because: string;
  fetching: Promise<void> | null;
  /** Requests that wait for it. */
  waiting: number;
}

/** Keys of the future are as old as they seem young: the clock was wrong then, or is now. */
function ageOf({ fetchedAtMs }: Held, now: Date): number {
  return Math.abs(now.getTime() - fetchedAtMs);
}

export function createIssuerKeys(services: FetchServices & { readonly database: Database; readonly metrics: Pick<Metrics, 'keyFetches'> }): IssuerKeys {
  const { clock, database } = services;
  const held = new Map<string, Promise<Held>>();

  async function load(issuer: RegisteredIssuer, { fingerprint }: KeySource): Promise<Held> {
    const state: Held = { fingerprint, set: null, fetchedAtMs: 0, triedMs: -Infinity, because: 'they were not fetched yet', fetching: null, waiting: 0 };
    const kept = await findKeys(database.read, issuer.accountId, issuer.uid, fingerprint);
    if (kept === null) return state;
    return { ...state, because: '', set: readKeys(kept.jwks), fetchedAtMs: kept.fetchedAt.getTime() };
  }

  /** A changed source begins anew: keys of the old place say nothing about the new one. */
  async function stateOf(issuer: RegisteredIssuer, source: KeySource): Promise<Held> {
    const key = `${issuer.accountId} ${issuer.uid}`;
    const known = held.get(key);
    if (known !== undefined && (await known).fingerprint === source.fingerprint) return known;
    if (held.size >= maxIssuers) held.delete(held.keys().next().value!);
    const loading = load(issuer, source);
    held.set(key, loading);
    loading.catch(() => held.delete(key));
    return loading;
  }

  function refresh(issuer: RegisteredIssuer, source: Exclude<KeySource, { from: 'inline' }>, state: Held): Promise<void> {
    state.fetching ??= fetchKeys(services, issuer.facts.rules.issuer, source)
      .then((fetched) => keep(issuer, state, fetched))
      .then(() => services.metrics.keyFetches.inc({ outcome: 'success' }))
      .catch((error: unknown) => {
        services.metrics.keyFetches.inc({ outcome: 'failed' });
        state.because = error instanceof Error ? error.message : String(error);
      })
      .finally(() => {
        state.fetching = null;
        state.triedMs = clock.monotonicMs();
      });
    return state.fetching;
  }

  /** For the end of an attempt, unless too many wait already. */
  async function wait(state: Held, attempt: Promise<void> | null): Promise<void> {
    if (attempt === null || state.waiting >= maxWaiting) return;
    state.waiting += 1;
    await attempt.finally(() => (state.waiting -= 1));
  }

  async function keep(issuer: RegisteredIssuer, state: Held, { set, bytes }: FetchedKeys): Promise<void> {
    state.set = set;
    state.because = '';
    state.fetchedAtMs = clock.now().getTime();
    await saveKeys(database.read, { accountId: issuer.accountId, issuerUid: issuer.uid, source: state.fingerprint, jwks: bytes, fetchedAt: clock.now() });
  }

  return {
    async keysFor(issuer, token) {
      const source = issuer.facts.keys;
      if (source.from === 'inline') {
        if (source.set === null) throw refusal('trust.keys_unavailable', { because: 'none of the keys given with the issuer can be used' });
        return source.set;
      }
      const state = await stateOf(issuer, source);
      const restedMs = clock.monotonicMs() - state.triedMs;
      const ageMs = ageOf(state, clock.now());
      const mayAsk = restedMs >= (state.set === null ? retryMs : cooldownMs);
      const mustKnow = state.set === null || ageMs >= waitMs || !hasKeyFor(token, state.set);
      if (mustKnow) await wait(state, mayAsk ? refresh(issuer, source, state) : state.fetching);
      else if (ageMs >= refreshMs && mayAsk) void refresh(issuer, source, state);
      if (state.set === null || ageOf(state, clock.now()) >= staleMs) throw refusal('trust.keys_unavailable', { because: state.because });
      return state.set;
    },
    async health(issuer) {
      const source = issuer.facts.keys;
      if (source.from === 'inline') return { from: 'inline', set: source.set, fetchedAt: null, askedAt: null, because: null, refreshAt: null, believedUntil: null };
      const { set, fetchedAtMs, triedMs, because } = await stateOf(issuer, source);
      const after = (ms: number): Date | null => (set === null ? null : new Date(fetchedAtMs + ms));
      return {
        from: source.from, set, fetchedAt: after(0), refreshAt: after(refreshMs), believedUntil: after(staleMs), because: because === '' ? null : because,
        askedAt: triedMs === -Infinity ? null : new Date(clock.now().getTime() - (clock.monotonicMs() - triedMs)),
      };
    },
  };
}
