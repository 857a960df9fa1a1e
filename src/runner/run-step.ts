/** Runs the step of a started attempt: its output masked and brought to the server, its end told as a result. */
import { Refusal } from '#kernel/errors.ts';
import type { EndedResult, LogTotals, StepPayload, Stream } from '#features/runners/schema.ts';
import { protocolLimits, streams } from '#features/runners/schema.ts';
import { describeError } from '#platform/log.ts';
import type { AttemptMasks } from './attempt-masks.ts';
import { errorResult, resultOf } from './attempt-result.ts';
import type { AttemptServices } from './attempt.ts';
import type { Lease } from './lease.ts';
import { LogSpool } from './log-spool.ts';
import type { LogRoom } from './log-spool.ts';
import { uploadLog } from './log-upload.ts';
import { defaultStepLimits, filesOfStep, startStep } from './sandbox.ts';
import type { StepExit, StepProcess } from './sandbox.ts';
import { StepIdentities } from './step-identities.ts';

export interface StartedAttempt {
  readonly lease: Lease;
  readonly payload: StepPayload;
  /** When it was asked for, on the monotonic clock. */
  readonly payloadAtMs: number;
  readonly masks: AttemptMasks;
}

type Spools = Readonly<Record<Stream, LogSpool>>;

/** Resolves when nothing of the step is alive and its log is where it belongs. Throws `LeaseOver` when there is nobody to tell. */
export async function runStep(services: AttemptServices, attempt: StartedAttempt): Promise<EndedResult> {
  const { lease, masks } = attempt;
  const room: LogRoom = { bytes: protocolLimits.logBytes, truncated: false };
  const spools = await openSpools(services, attempt, room);
  try {
    const uploads = Promise.all(streams.map((stream) => upload(services, attempt, { stream, spool: spools[stream] })));
    uploads.catch(() => {}); // awaited below
    const ended = await endOf(services, attempt, spools);
    for (const stream of streams) await spools[stream].end();
    await uploads;
    lease.over.throwIfAborted();
    const logs: LogTotals = { stdout: await spools.stdout.total(), stderr: await spools.stderr.total(), truncated: room.truncated };
    return 'failed' in ended ? errorResult(ended.failed, logs, masks.set) : resultOf(ended, logs, masks.set);
  } finally {
    for (const stream of streams) await spools[stream].close();
  }
}

async function openSpools({ journal }: AttemptServices, { lease, masks }: StartedAttempt, room: LogRoom): Promise<Spools> {
  const open = (stream: Stream) => LogSpool.create({ path: journal.logPath(lease.place.attemptId, stream), masks, room });
  const spools = { stdout: await open('stdout'), stderr: await open('stderr') };
  for (const { name, problem } of masks.set.unmaskable) await spools.stderr.write(Buffer.from(`[sallyport] \`${name}\` cannot be kept out of this log: ${problem}\n`));
  return spools;
}

/** A log that the server does not take does not end the step; a lease that is over does. */
async function upload({ transport, log }: AttemptServices, { lease, masks }: StartedAttempt, { stream, spool }: { readonly stream: Stream; readonly spool: LogSpool }): Promise<void> {
  const { place } = lease;
  try {
    await uploadLog({
      stream, spool, masks,
      newestMaskSet: () => lease.maskSet,
      renewMasks: (known) => known.renew((after) => lease.under((signal) => transport.masks(place, after, { signal }))),
      send: (chunk) => lease.under((signal) => transport.log(place, chunk, { signal })),
      signal: lease.over,
    });
  } catch (error) {
    if (lease.over.aborted) return;
    log.warn({ attempt: place.attemptId, stream, error: describeError(error) }, 'the log is incomplete');
  }
}

type Ended = StepExit | { readonly failed: string };

async function endOf(services: AttemptServices, attempt: StartedAttempt, spools: Spools): Promise<Ended> {
  const { lease } = attempt;
  if (lease.cancelled.aborted || services.stopping.aborted) return { code: null, signal: null, outputs: {}, reason: 'cancelled' };
  lease.confirm();
  let identities: StepIdentities | null = null;
  try {
    identities = await identitiesOf(services, attempt, spools);
    const step = await started(services, attempt, identities);
    identities?.keep(step.files);
    return await watched(services, attempt, { step, identities, spools });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { failed: error.say ?? error.record.title };
  } finally {
    await identities?.close();
  }
}

async function identitiesOf({ clock, randomness, transport, isolation, workRoot }: AttemptServices, { lease, payload, payloadAtMs, masks }: StartedAttempt, spools: Spools): Promise<StepIdentities | null> {
  const { identities: given } = payload;
  if (given === undefined) return null;
  const { attemptId } = lease.place;
  return StepIdentities.open({
    given, givenAtMs: payloadAtMs, clock, randomness,
    directory: filesOfStep({ isolation, workRoot, attemptId }),
    ask: (wish) => lease.under((signal) => transport.token(lease.place, wish, { signal })),
    learn: async (secrets) => {
      masks.join(secrets);
      for (const stream of streams) await spools[stream].join(masks.set);
    },
  });
}

function started({ isolation, workRoot }: AttemptServices, { lease, payload }: StartedAttempt, identities: StepIdentities | null): Promise<StepProcess> {
  const { script, shell, environment, outputVariables, timeoutMs } = payload;
  return startStep({
    isolation, workRoot, attemptId: lease.place.attemptId, script, shell, outputVariables, timeoutMs, limits: limitsOf(payload),
    environment: { ...environment, ...identities?.environment }, files: identities?.files ?? new Map(),
  });
}

interface WatchedStep {
  readonly step: StepProcess;
  readonly identities: StepIdentities | null;
  readonly spools: Spools;
}

async function watched(services: AttemptServices, { lease }: StartedAttempt, { step, identities, spools }: WatchedStep): Promise<Ended> {
  const { cancelGraceMs, stopping } = services;
  const ending = [lease.cancelled, stopping, ...(identities === null ? [] : [identities.broken])];
  const unwatch = [
    whenAborted(lease.over, () => void step.cancel(lease.graceMs)),
    ...ending.map((signal) => whenAborted(signal, () => void step.cancel(cancelGraceMs))),
  ];
  try {
    const spooled = await spoolAll(step, spools).then(() => null, (error: unknown) => error);
    // Without its log a step must not go on.
    if (spooled !== null) await step.cancel(0);
    const exit = await step.exit;
    if (spooled === null) return identities?.broken.aborted === true && !lease.cancelled.aborted ? { failed: String(identities.broken.reason) } : exit;
    services.log.error({ attempt: lease.place.attemptId, error: describeError(spooled) }, 'the log cannot be kept');
    return { failed: 'the runner cannot keep the log of the step; is its disk full?' };
  } finally {
    for (const end of unwatch) end();
  }
}

async function spoolAll(step: StepProcess, spools: Spools): Promise<void> {
  for await (const { stream, bytes } of step.output) await spools[stream].write(bytes);
}

/** Narrower than what this runner allows, never wider. */
function limitsOf({ limits = {} }: StepPayload) {
  return {
    outputBytes: Math.min(limits.outputBytes ?? Infinity, defaultStepLimits.outputBytes),
    processes: Math.min(limits.processes ?? Infinity, defaultStepLimits.processes),
  };
}

/** Acts once when the signal is aborted, at once if it is already. Returns what takes that back. */
function whenAborted(signal: AbortSignal, act: () => void): () => void {
  if (signal.aborted) act();
  else signal.addEventListener('abort', act, { once: true });
  return () => signal.removeEventListener('abort', act);
}
