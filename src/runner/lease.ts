/** The runner's side of a lease: renewed in time, or known to be over before the server may think so. */
import type { Clock, Randomness } from '#platform/clock.ts';
import type { Claim, LeaseAnswer } from '#features/runners/schema.ts';
import { pause, persist } from './persist.ts';
import type { LeasePlace, RunnerTransport } from './transport.ts';
import { isFinal } from './transport.ts';

/** Why a lease ended before the runner was done with it. */
export class LeaseOver extends Error {
  readonly why: 'refused' | 'expired';

  constructor(why: 'refused' | 'expired', cause?: unknown) {
    super(why === 'refused' ? 'the server says the lease is over' : 'the lease could not be renewed in time', { cause });
    this.name = 'LeaseOver';
    this.why = why;
  }
}

export interface LeaseServices {
  readonly transport: RunnerTransport;
  readonly clock: Clock;
  readonly randomness: Randomness;
}

/** Before its end a lease counts as over. */
const maxMarginMs = 5_000;
const maxGraceMs = 1_000;
const retryFirstMs = 200;
const retryMaxMs = 2_000;

export class Lease {
  readonly place: LeasePlace;
  readonly #services: LeaseServices;
  readonly #over = new AbortController();
  readonly #cancelled = new AbortController();
  readonly #stopped = new AbortController();
  #heartbeatMs: number;
  /** On our monotonic clock. */
  #endsAtMs = 0;
  #marginMs = 0;
  #alarm: NodeJS.Timeout | undefined;
  #maskSet = 0;
  #beating: Promise<void> | undefined;

  /** A claim counts from its answer, so nothing may run on it yet; renewals count from when they were sent. */
  constructor(claim: Claim, services: LeaseServices) {
    this.place = { attemptId: claim.attemptId, fence: claim.fence };
    this.#services = services;
    this.#heartbeatMs = claim.heartbeatMs;
    this.#extend(services.clock.monotonicMs(), claim.leaseMs);
  }

  /** Aborted with a `LeaseOver`: from now on nothing may be done under this lease. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** Aborted when the server wants the step to end. */
  get cancelled(): AbortSignal {
    return this.#cancelled.signal;
  }

  /** The newest mask set the server has told of. */
  get maskSet(): number {
    return this.#maskSet;
  }

  /** How long a step may have between TERM and KILL when the lease is over: it is dead before the server gives the lease up. */
  get graceMs(): number {
    return Math.min(maxGraceMs, this.#marginMs / 2);
  }

  start(): void {
    this.#beating ??= this.#beat();
  }

  /** No more heartbeats; the lease is given up or used up. */
  async stop(): Promise<void> {
    clearTimeout(this.#alarm);
    this.#stopped.abort(new Error('the lease is not needed any more'));
    await this.#beating;
  }

  /** Sends something under the lease until it is answered, refused, or the lease is over (or `signal` says so earlier). */
  async under<T>(send: (signal: AbortSignal) => Promise<T>, signal: AbortSignal = this.over): Promise<T> {
    const { randomness } = this.#services;
    try {
      return await persist(send, { randomness, signal, firstMs: retryFirstMs, maxMs: retryMaxMs });
    } catch (error) {
      if (isFinal(error) && (error.code === 'runner.stale_fence' || error.code === 'credential.invalid')) this.#end(new LeaseOver('refused', error));
      throw error;
    }
  }

  /** Tells the server that the process is about to be started. */
  async started(): Promise<void> {
    await this.#renewBy((signal) => this.#services.transport.started(this.place, { signal, timeoutMs: this.#patienceMs() }), this.over);
  }

  /** Throws when the lease is over, also when no timer has noticed it: this process may have stood still. */
  confirm(): void {
    if (!this.over.aborted && this.#services.clock.monotonicMs() >= this.#endsAtMs) this.#end(new LeaseOver('expired'));
    this.over.throwIfAborted();
  }

  async #beat(): Promise<void> {
    const { transport } = this.#services;
    const signal = AbortSignal.any([this.#stopped.signal, this.over]);
    try {
      for (;;) {
        await pause(this.#heartbeatMs, signal);
        await this.#renewBy((until) => transport.heartbeat(this.place, { signal: until, timeoutMs: this.#patienceMs() }), signal);
      }
    } catch (error) {
      // Whatever the server refuses a heartbeat with, it will not renew.
      if (!signal.aborted) this.#end(new LeaseOver('refused', error));
    }
  }

  #renewBy(send: (signal: AbortSignal) => Promise<LeaseAnswer>, until: AbortSignal): Promise<void> {
    return this.under(async (signal) => {
      const sentAtMs = this.#services.clock.monotonicMs();
      this.#take(await send(signal), sentAtMs);
    }, until);
  }

  #take(answer: LeaseAnswer, sentAtMs: number): void {
    this.#heartbeatMs = answer.heartbeatMs;
    this.#maskSet = Math.max(this.#maskSet, answer.maskSet);
    this.#extend(sentAtMs, answer.leaseMs);
    if (answer.cancel) this.#cancelled.abort(new Error('the server cancelled the attempt'));
  }

  #extend(fromMs: number, leaseMs: number): void {
    this.#marginMs = Math.min(maxMarginMs, leaseMs / 6);
    this.#endsAtMs = fromMs + leaseMs - this.#marginMs;
    clearTimeout(this.#alarm);
    if (this.#stopped.signal.aborted) return;
    this.#alarm = setTimeout(() => this.#end(new LeaseOver('expired')), Math.max(0, this.#endsAtMs - this.#services.clock.monotonicMs()));
  }

  #end(reason: LeaseOver): void {
    clearTimeout(this.#alarm);
    this.#over.abort(reason);
  }

  /** A request that hangs is tried again while there is time. */
  #patienceMs(): number {
    return Math.max(1_000, this.#heartbeatMs);
  }
}
