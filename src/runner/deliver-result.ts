/** The last word about an attempt: kept until the server has it, or has said that it does not want it. */
import type { StepResult } from '#features/runners/schema.ts';
import type { Randomness } from '#platform/clock.ts';
import type { Log } from '#platform/log.ts';
import type { Journal } from './journal.ts';
import { persist } from './persist.ts';
import type { LeasePlace, RunnerTransport } from './transport.ts';
import { isFinal } from './transport.ts';

export interface DeliveryServices {
  readonly transport: RunnerTransport;
  readonly randomness: Randomness;
  readonly journal: Journal;
  readonly log: Log;
  /** Aborted when the runner ends now; what was not delivered is for its next start. */
  readonly givenUp: AbortSignal;
}

const retryMaxMs = 30_000;

/** True when the attempt is settled and forgotten; false when it waits for the next start. */
export async function deliverResult({ transport, randomness, journal, log, givenUp }: DeliveryServices, place: LeasePlace, result: StepResult): Promise<boolean> {
  try {
    await persist((signal) => transport.result(place, result, { signal }), { randomness, signal: givenUp, maxMs: retryMaxMs });
    log.info({ attempt: place.attemptId, exit: result.exit }, 'attempt settled');
  } catch (error) {
    if (!isFinal(error)) {
      log.warn({ attempt: place.attemptId, exit: result.exit }, 'the result could not be delivered; it waits for the next start of this runner');
      return false;
    }
    log.warn({ attempt: place.attemptId, exit: result.exit, refusal: error.code, say: error.say }, 'the server does not want the result');
  }
  await journal.remove(place.attemptId);
  return true;
}
