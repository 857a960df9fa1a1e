/** How a runner talks to its server. HTTP now; whatever comes next says the same words. */
import { Refusal } from '#kernel/errors.ts';
import type { ClaimAnswer, LeaseAnswer, LogPosition, MadeToken, MaskAddition, StepPayload, StepResult, Stream, TokenWish } from '#features/runners/schema.ts';

/** Names the lease everything is said under. */
export interface LeasePlace {
  readonly attemptId: string;
  readonly fence: number;
}

export interface Chunk {
  readonly stream: Stream;
  /** In the masked stream. */
  readonly offset: number;
  readonly maskSet: number;
  readonly bytes: Uint8Array;
}

export interface SendOptions {
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

/**
 * The messages of `docs/runner-protocol.md`. A refusal of the server is a `Refusal` with its code; anything else that goes
 * wrong is an ordinary error and means that nobody knows whether the message arrived. All may be sent again.
 */
export interface RunnerTransport {
  claim(claimId: string, waitMs: number, options?: SendOptions): Promise<ClaimAnswer>;
  /** Opened; refuses with `runner.protocol` what was not sealed for this lease. */
  payload(place: LeasePlace, options?: SendOptions): Promise<StepPayload>;
  masks(place: LeasePlace, after: number, options?: SendOptions): Promise<MaskAddition>;
  /** Opened. Sent again, it is another token. */
  token(place: LeasePlace, wish: TokenWish, options?: SendOptions): Promise<MadeToken>;
  started(place: LeasePlace, options?: SendOptions): Promise<LeaseAnswer>;
  heartbeat(place: LeasePlace, options?: SendOptions): Promise<LeaseAnswer>;
  log(place: LeasePlace, chunk: Chunk, options?: SendOptions): Promise<LogPosition>;
  result(place: LeasePlace, result: StepResult, options?: SendOptions): Promise<void>;
}

/** Whether sending the same again cannot help: the server has understood and said no. */
export function isFinal(error: unknown): error is Refusal {
  return error instanceof Refusal && error.record.status < 500 && !('retryable' in error.record && error.record.retryable === true);
}
