/** One attempt from its claim to its result, or to the moment somebody else may have it. */
import { Refusal } from '#kernel/errors.ts';
import type { Claim, StepPayload, StepResult } from '#features/runners/schema.ts';
import type { Clock } from '#platform/clock.ts';
import { describeError } from '#platform/log.ts';
import { AttemptMasks } from './attempt-masks.ts';
import { messageOf } from './attempt-result.ts';
import type { DeliveryServices } from './deliver-result.ts';
import { deliverResult } from './deliver-result.ts';
import type { Identity } from './identity.ts';
import type { Isolation } from './isolation.ts';
import { Lease, LeaseOver } from './lease.ts';
import { runStep } from './run-step.ts';
import { removeAttemptDirectory } from './sandbox.ts';
import { sealToSelf } from './sealed.ts';
import { isFinal } from './transport.ts';

export interface AttemptServices extends DeliveryServices {
  readonly clock: Clock;
  readonly identity: Identity;
  readonly isolation: Isolation;
  /** Where steps get their directories; see `detectIsolation`. */
  readonly workRoot: string;
  /** Between TERM and KILL of a step that is cancelled. */
  readonly cancelGraceMs: number;
  /** Aborted when the runner is to end and its patience with running steps is over. */
  readonly stopping: AbortSignal;
}

/** Never throws: whatever happens to one attempt is told to the server, or shows there when its lease runs out. */
export async function runAttempt(services: AttemptServices, claim: Claim): Promise<void> {
  const { journal, log, workRoot, isolation } = services;
  const lease = new Lease(claim, services);
  const { attemptId } = lease.place;
  log.info({ attempt: attemptId, fence: claim.fence }, 'attempt claimed');
  let settled = true;
  try {
    await journal.write(lease.place, { state: 'claimed' });
    lease.start();
    const result = await workOn(services, lease);
    settled = await deliverResult(services, lease.place, result);
  } catch (error) {
    if (error instanceof LeaseOver || isFinal(error)) log.warn({ attempt: attemptId, because: error.message }, 'attempt given up');
    else log.error({ attempt: attemptId, error: describeError(error) }, 'attempt failed');
  } finally {
    await lease.stop();
    await removeAttemptDirectory({ workRoot, attemptId, tools: isolation.tools }).catch((error: unknown) => log.warn({ attempt: attemptId, error: describeError(error) }, 'a step left something that cannot be removed'));
    if (settled) await journal.remove(attemptId);
  }
}

async function workOn(services: AttemptServices, lease: Lease): Promise<StepResult> {
  const { transport, journal, stopping, identity } = services;
  let payload: StepPayload;
  let masks: AttemptMasks;
  let payloadAtMs: number;
  try {
    payload = await lease.under((signal) => {
      payloadAtMs = services.clock.monotonicMs();
      return transport.payload(lease.place, { signal });
    });
    masks = new AttemptMasks(payload);
  } catch (error) {
    if (lease.over.aborted || !(error instanceof Refusal)) throw error;
    return { exit: 'refused', message: messageOf(error.say ?? error.record.title, null) };
  }
  if (stopping.aborted) return { exit: 'refused', message: 'the runner is stopping' };
  await journal.write(lease.place, { state: 'started', maskSet: masks.version });
  await lease.started();
  const result = await runStep(services, { lease, payload, payloadAtMs: payloadAtMs!, masks });
  await journal.write(lease.place, { state: 'ended', maskSet: masks.version, result: await sealToSelf(identity, { ...lease.place, result }) });
  return result;
}
