/** Attempts in memory: the desk of the runner protocol without pipelines behind it. Runs the contract every desk runs. */
import { randomUUID } from 'node:crypto';
import type {
  AttemptDesk, AttemptRef, ClaimRequest, ClaimedAttempt, LeaseState, LogChunk, LogPosition, MadeToken, MaskAddition, StepPayload, StepResult, Stream, TokenWish,
} from '#features/runners/schema.ts';
import { protocolLimits } from '#features/runners/schema.ts';
import { canonicalJson } from '#kernel/canonical.ts';
import { refusal } from '#kernel/errors.ts';
import { contains } from '#kernel/scope.ts';

export type FakeStatus = 'offered' | 'leased' | 'started' | 'ended' | 'lost' | 'withdrawn';

export interface FakeOffer {
  readonly scope?: string;
  readonly labels?: readonly string[];
  readonly step?: Partial<StepPayload>;
  /** What tokens its step is given; without it none. */
  readonly token?: (wish: TokenWish) => MadeToken;
}

interface Lease {
  readonly fence: number;
  readonly runnerId: string;
  readonly claimId: string;
  untilMs: number;
}

interface FakeAttempt {
  readonly id: string;
  readonly accountId: string;
  readonly offer: FakeOffer;
  status: FakeStatus;
  lease: Lease | null;
  fence: number;
  cancel: boolean;
  readonly logs: Record<Stream, Buffer[]>;
  readonly added: { version: number; secret: { name: string; value: string } }[];
  result: StepResult | null;
}

const firstMaskSet = 1;

export class FakeDesk implements AttemptDesk {
  readonly leaseMs: number;
  readonly logBytes: number;
  readonly #attempts: FakeAttempt[] = [];
  readonly #watchers = new Set<{ accountId: string; wake: () => void }>();
  /** What the clock of this desk is ahead of those who call it. */
  #aheadMs = 0;

  constructor({ leaseMs = 20_000, logBytes = protocolLimits.logBytes as number } = {}) {
    this.leaseMs = leaseMs;
    this.logBytes = logBytes;
  }

  // What a test does

  offer(accountId: string, offer: FakeOffer = {}): string {
    const id = randomUUID();
    this.#attempts.push({ id, accountId, offer, status: 'offered', lease: null, fence: 0, cancel: false, logs: { stdout: [], stderr: [] }, added: [], result: null });
    this.#wake(accountId);
    return id;
  }

  advance(ms: number): void {
    this.#aheadMs += ms;
  }

  cancel(attemptId: string): void {
    const attempt = this.attempt(attemptId);
    attempt.cancel = true;
    if (attempt.status === 'offered' || attempt.status === 'leased') attempt.status = 'withdrawn';
  }

  addSecret(attemptId: string, secret: { name: string; value: string }): void {
    const attempt = this.attempt(attemptId);
    attempt.added.push({ version: maskSetOf(attempt) + 1, secret });
  }

  attempt(attemptId: string): FakeAttempt {
    const attempt = this.#attempts.find(({ id }) => id === attemptId);
    if (attempt === undefined) throw new Error(`there is no attempt ${attemptId}`);
    return attempt;
  }

  status(attemptId: string, now: Date): FakeStatus {
    const attempt = this.attempt(attemptId);
    this.#expire(attempt, this.#ms(now));
    return attempt.status;
  }

  log(attemptId: string, stream: Stream): string {
    return Buffer.concat(this.attempt(attemptId).logs[stream]).toString('utf8');
  }

  // What runners do

  async claim({ accountId, runnerId, scope, labels, claimId, now }: ClaimRequest): Promise<ClaimedAttempt | null> {
    const nowMs = this.#ms(now);
    for (const attempt of this.#attempts) this.#expire(attempt, nowMs);
    const mine = this.#attempts.filter((attempt) => attempt.accountId === accountId);
    const before = mine.find(({ lease }) => lease?.runnerId === runnerId && lease.claimId === claimId);
    if (before !== undefined) return before.status === 'leased' || before.status === 'started' ? this.#claimed(before) : null;
    const next = mine.find(({ status, offer }) =>
      status === 'offered' && contains(scope, offer.scope ?? '/') && (offer.labels ?? []).every((label) => labels.includes(label)));
    if (next === undefined) return null;
    next.status = 'leased';
    next.fence += 1;
    next.lease = { fence: next.fence, runnerId, claimId, untilMs: nowMs + this.leaseMs };
    return this.#claimed(next);
  }

  watch(accountId: string, wake: () => void): () => void {
    const watcher = { accountId, wake };
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  async payload(ref: AttemptRef, now: Date): Promise<StepPayload> {
    const attempt = this.#held(ref, now, ['leased']);
    const step = { script: ':', shell: 'sh' as const, environment: {}, secrets: [], outputVariables: [], timeoutMs: 60_000, ...attempt.offer.step };
    return { ...step, secrets: [...step.secrets, ...attempt.added.map(({ secret }) => secret)], maskSet: maskSetOf(attempt) };
  }

  async masks(ref: AttemptRef, after: number, now: Date): Promise<MaskAddition> {
    const attempt = this.#held(ref, now, ['leased', 'started']);
    return { maskSet: maskSetOf(attempt), secrets: attempt.added.filter(({ version }) => version > after).map(({ secret }) => secret) };
  }

  async token(ref: AttemptRef, wish: TokenWish, now: Date): Promise<MadeToken> {
    const attempt = this.#held(ref, now, ['leased', 'started']);
    if (attempt.offer.token === undefined) throw refusal('mint.refused', { say: `the step has no identity \`${wish.identity}\`` });
    return attempt.offer.token(wish);
  }

  async started(ref: AttemptRef, now: Date): Promise<LeaseState> {
    const attempt = this.#held(ref, now, ['leased', 'started']);
    attempt.status = 'started';
    return this.#renewed(attempt, now);
  }

  async heartbeat(ref: AttemptRef, now: Date): Promise<LeaseState> {
    return this.#renewed(this.#held(ref, now, ['leased', 'started']), now);
  }

  async appendLog(ref: AttemptRef, chunk: LogChunk, now: Date): Promise<LogPosition> {
    const attempt = this.#held(ref, now, ['started']);
    const stored = lengthOf(attempt, chunk.stream);
    const position = (outcome: LogPosition['outcome'], nextOffset: number): LogPosition => ({ outcome, nextOffset, maskSet: maskSetOf(attempt) });
    if (chunk.maskSet < maskSetOf(attempt)) return position('old_masks', stored);
    if (chunk.offset > stored) return position('gap', stored);
    const fresh = chunk.bytes.subarray(stored - chunk.offset);
    if (lengthOf(attempt, 'stdout') + lengthOf(attempt, 'stderr') + fresh.length > this.logBytes) return position('full', stored);
    attempt.logs[chunk.stream].push(Buffer.from(fresh));
    return position('stored', stored + fresh.length);
  }

  async result(ref: AttemptRef, result: StepResult, now: Date): Promise<void> {
    const known = this.#attempts.find(({ id, accountId, lease }) => id === ref.attemptId && accountId === ref.accountId && lease?.fence === ref.fence && lease.runnerId === ref.runnerId);
    if (known !== undefined && known.result !== null && canonicalJson(known.result) === canonicalJson(result)) return;
    const attempt = this.#held(ref, now, result.exit === 'refused' ? ['leased'] : result.exit === 'lost' ? ['leased', 'started'] : ['started']);
    const started = attempt.status === 'started';
    attempt.result = result;
    attempt.status = 'outputs' in result ? 'ended' : 'lost';
    if (!started) this.#offerAgain(attempt);
  }

  #claimed(attempt: FakeAttempt): ClaimedAttempt {
    const { fence, untilMs } = attempt.lease!;
    return { attemptId: attempt.id, fence, leaseUntil: new Date(untilMs - this.#aheadMs) };
  }

  #renewed(attempt: FakeAttempt, now: Date): LeaseState {
    attempt.lease!.untilMs = this.#ms(now) + this.leaseMs;
    return { leaseUntil: new Date(attempt.lease!.untilMs - this.#aheadMs), cancel: attempt.cancel, maskSet: maskSetOf(attempt) };
  }

  #held(ref: AttemptRef, now: Date, fitting: readonly FakeStatus[]): FakeAttempt {
    const attempt = this.#attempts.find(({ id, accountId }) => id === ref.attemptId && accountId === ref.accountId);
    if (attempt !== undefined) this.#expire(attempt, this.#ms(now));
    const held = attempt?.lease?.fence === ref.fence && attempt.lease.runnerId === ref.runnerId && (attempt.status === 'leased' || attempt.status === 'started');
    if (attempt === undefined || !held) throw refusal('runner.stale_fence');
    if (!fitting.includes(attempt.status)) throw refusal('runner.protocol', { say: `the attempt is ${attempt.status}` });
    return attempt;
  }

  #expire(attempt: FakeAttempt, nowMs: number): void {
    if ((attempt.status !== 'leased' && attempt.status !== 'started') || attempt.lease === null || attempt.lease.untilMs > nowMs) return;
    const started = attempt.status === 'started';
    attempt.status = 'lost';
    if (!started) this.#offerAgain(attempt);
  }

  /** As a new attempt, like the real one. */
  #offerAgain({ accountId, offer }: FakeAttempt): void {
    this.offer(accountId, offer);
  }

  #wake(accountId: string): void {
    for (const watcher of this.#watchers) if (watcher.accountId === accountId) watcher.wake();
  }

  #ms(now: Date): number {
    return now.getTime() + this.#aheadMs;
  }
}

function maskSetOf(attempt: FakeAttempt): number {
  return firstMaskSet + attempt.added.length;
}

function lengthOf(attempt: FakeAttempt, stream: Stream): number {
  return attempt.logs[stream].reduce((sum, bytes) => sum + bytes.length, 0);
}
