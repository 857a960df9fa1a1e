/**
 * Sessions by id, kept while they are used. All of a session but its revocation never changes, so what is read again is
 * one column, at most twice a second; a revocation on another node bites within that time, one on this node at once.
 */
import type { Clock } from '#platform/clock.ts';
import type { Database } from '#platform/database/database.ts';
import type { Metrics } from '#platform/metrics.ts';
import type { WorkloadEvidence } from '#kernel/caller.ts';
import type { SessionInForce } from './standing.ts';
import type { StoredSession } from './store.ts';
import { findRevocation, findSession } from './store.ts';

export interface Sessions {
  /** Null when it is unknown, revoked or over. */
  find(accountId: string, sessionId: string, now: Date): Promise<SessionInForce | null>;
  /** Reads every session again before it is used; for after a revocation. */
  forget(): void;
}

interface Held {
  readonly session: StoredSession;
  inForce: SessionInForce;
  /** When another mapping's part of the session ends. */
  changesAtMs: number;
  revoked: boolean;
  /** Monotonic time at which the revocation was asked about. */
  checkedMs: number;
}

const rereadMs = 500;
const maxHeld = 10_000;

export function createSessions({ database, clock, metrics }: { database: Database; clock: Clock; metrics: Pick<Metrics, 'revocationSeconds'> }): Sessions {
  const held = new Map<string, Held>();
  const reading = new Map<string, Promise<Held | null>>();
  let generation = 0;

  async function read(accountId: string, sessionId: string, key: string): Promise<Held | null> {
    const askedMs = clock.monotonicMs();
    const askedIn = generation;
    const known = held.get(key);
    if (known !== undefined) {
      const row = await findRevocation(database.read, accountId, sessionId);
      if (!known.revoked && row !== null && row.revokedAt !== null) metrics.revocationSeconds.observe(Math.max(0, clock.now().getTime() - row.revokedAt.getTime()) / 1_000);
      known.revoked ||= row === null || row.revokedAt !== null;
      if (askedIn === generation) known.checkedMs = askedMs;
      return known;
    }
    const session = await findSession(database.read, accountId, sessionId);
    if (session === null) return null;
    if (held.size >= maxHeld) held.delete(held.keys().next().value!);
    const revoked = session.revokedAt !== null;
    const entry: Held = { session, inForce: inForceAt(session, 0), changesAtMs: 0, revoked, checkedMs: askedIn === generation ? askedMs : -Infinity };
    held.set(key, entry);
    return entry;
  }

  function readOnce(accountId: string, sessionId: string, key: string): Promise<Held | null> {
    // A read that began before a revocation may not have seen it.
    const shared = `${key} ${generation}`;
    let promise = reading.get(shared);
    if (promise === undefined) {
      promise = read(accountId, sessionId, key).finally(() => reading.delete(shared));
      reading.set(shared, promise);
    }
    return promise;
  }

  return {
    async find(accountId, sessionId, now) {
      const key = `${accountId} ${sessionId}`;
      let entry = held.get(key) ?? null;
      if (entry === null || clock.monotonicMs() - entry.checkedMs >= rereadMs) entry = await readOnce(accountId, sessionId, key);
      const nowMs = now.getTime();
      if (entry === null || entry.revoked || nowMs >= entry.session.expiresAt.getTime()) return null;
      if (nowMs >= entry.changesAtMs) {
        entry.inForce = inForceAt(entry.session, nowMs);
        entry.changesAtMs = Math.min(...entry.inForce.mappings.map(({ expiresAtMs }) => expiresAtMs));
      }
      return entry.inForce;
    },
    forget() {
      generation += 1;
      for (const entry of held.values()) entry.checkedMs = -Infinity;
    },
  };
}

/** The session with those of its mappings that have not ended. */
export function inForceAt(session: StoredSession, nowMs: number): SessionInForce {
  const mappings = session.mappings.filter(({ expiresAtMs }) => nowMs < expiresAtMs);
  const { id, issuerUid, issuer, subject, claims } = session;
  const evidence: WorkloadEvidence = {
    sessionId: id, issuerUid, issuer, subject, claims, ...(session.recorded === null ? {} : { recordedClaims: session.recorded.claims }),
    mappings: mappings.map(({ mappingUid, version, grants }) => ({ mappingUid, version, grants })),
    use: { atMs: session.createdAt.getTime(), isBound: session.confirmation !== null, isDirect: session.isDirect },
  };
  return { session, mappings, evidence };
}
