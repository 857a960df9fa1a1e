/** The attempts as the runner protocol sees them. */
import { createHash } from 'node:crypto';
import type { AttemptDesk, AttemptRef, EndedResult, LeaseState, LogChunk, LogPosition, StepResult } from '#features/runners/schema.ts';
import { protocolLimits } from '#features/runners/schema.ts';
import { planStep } from '#features/pipelines/feature.ts';
import { canonicalJson } from '#kernel/canonical.ts';
import { Refusal } from '#kernel/errors.ts';
import type { Tx } from '#platform/database/database.ts';
import type { ClaimServices } from './claim.ts';
import { claimAttempt, refuseStep } from './claim.ts';
import { deliverStep } from './deliver-step.ts';
import type { DeliveredStep } from './deliver-step.ts';
import type { NewEvent } from './engine.ts';
import { attemptsChannel, post } from './engine.ts';
import { openGrant } from './grant.ts';
import { expectStatus, holds, lockAttempt, lockLease, staleFence } from './lease.ts';
import type { Attempt, Execution } from './store.ts';
import { findAttempt, findExecution, lockExecution } from './store.ts';

/** The secrets of an attempt are known when it gets its payload; nothing is added later yet. */
const onlyMaskSet = 1;

export interface DeskServices extends ClaimServices {
  readonly sealOutput: (execution: Execution, id: string, value: string) => Promise<Buffer>;
}

export function createDesk(services: DeskServices): AttemptDesk & { readonly listen: () => Promise<void> } {
  const { database } = services;
  const watchers = new Map<string, Set<() => void>>();

  const renew = (ref: AttemptRef, now: Date, start: boolean): Promise<LeaseState> =>
    database.transaction(async (tx) => {
      const { execution, attempt } = await lockLease(tx, ref, now);
      const leaseUntil = new Date(now.getTime() + services.leaseMs);
      const starts = start && attempt.status === 'leased';
      await tx.updateTable('attempt').set({ lease_until: leaseUntil, ...(starts ? { status: 'started' as const, started_at: now } : {}) })
        .where('account_id', '=', ref.accountId).where('id', '=', ref.attemptId).execute();
      if (starts) await post(services, tx, execution, { type: 'attempt_started', ...under(attempt) }, now);
      return { leaseUntil, cancel: attempt.cancel, maskSet: onlyMaskSet };
    });

  return {
    claim: (request) => claimAttempt(services, request),
    watch(accountId, wake) {
      let ofAccount = watchers.get(accountId);
      if (ofAccount === undefined) watchers.set(accountId, (ofAccount = new Set()));
      ofAccount.add(wake);
      return () => {
        ofAccount.delete(wake);
        if (ofAccount.size === 0) watchers.delete(accountId);
      };
    },
    listen: () => database.listen(attemptsChannel, (accountId) => watchers.get(accountId)?.forEach((wake) => wake())),
    async payload(ref, now) {
      const step = await deliverTo(services, ref, now);
      return {
        script: step.script,
        shell: step.shell === 'Bash' ? 'bash' : 'sh',
        environment: { ...step.environment },
        secrets: [...step.masks],
        maskSet: onlyMaskSet,
        outputVariables: step.payload.outputVariables.map((output) => output.from),
        timeoutMs: step.payload.timeoutMs,
      };
    },
    async masks(ref, _after, now) {
      await confirm(services, ref, now);
      return { maskSet: onlyMaskSet, secrets: [] };
    },
    started: (ref, now) => renew(ref, now, true),
    heartbeat: (ref, now) => renew(ref, now, false),
    appendLog: (ref, chunk, now) => database.transaction((tx) => appendLog(tx, ref, chunk, now)),
    result: (ref, result, now) => endAttempt(services, ref, result, now),
  };
}

function under(attempt: Attempt): { stepUid: string; attempt: number; fence: string } {
  return { stepUid: attempt.stepUid, attempt: attempt.number, fence: String(attempt.fence) };
}

async function confirm({ database }: DeskServices, ref: AttemptRef, now: Date): Promise<Attempt> {
  const attempt = await findAttempt(database.read, ref.accountId, ref.attemptId);
  if (attempt === null || !holds(attempt, ref, now)) throw staleFence();
  return attempt;
}

/** Opens and mints, then records every use in one transaction that confirms the lease; only then the values leave. */
async function deliverTo(services: DeskServices, ref: AttemptRef, now: Date): Promise<DeliveredStep> {
  const attempt = await confirm(services, ref, now);
  expectStatus(attempt, 'leased');
  const execution = await findExecution(services.database.read, ref.accountId, attempt.executionId);
  if (execution === null) throw staleFence();
  const caller = await openGrant(services.keyring, { accountId: ref.accountId, executionId: execution.id }, execution.runGrant);
  const world = await services.snapshots.world(ref.accountId);
  try {
    const step = await deliverStep(services, { execution, stepUid: attempt.stepUid, attemptId: attempt.id, caller, world, now });
    await services.database.transaction(async (tx) => {
      const locked = await lockLease(tx, ref, now);
      expectStatus(locked.attempt, 'leased');
      for (const record of step.records) await record(tx);
      await services.record(tx, { accountId: ref.accountId, now, caller, address: null, requestId: execution.id, action: 'run.use' }, step.acts);
    });
    return step;
  } catch (error) {
    if (!(error instanceof Refusal) || error.code.startsWith('runner.') || error.record.status >= 500) throw error;
    await services.database.transaction(async (tx) => {
      const locked = await lockLease(tx, ref, now);
      await refuseStep(services, tx, { ...locked, error, now, caller });
    });
    throw staleFence();
  }
}

/** Offsets count the masked bytes of a stream. What is said again is taken as said before. */
async function appendLog(tx: Tx, ref: AttemptRef, chunk: LogChunk, now: Date): Promise<LogPosition> {
  const attempt = await lockAttempt(tx, ref);
  if (!holds(attempt, ref, now)) throw staleFence();
  expectStatus(attempt, 'started');
  const totals = await lengths(tx, ref);
  const stored = totals[chunk.stream];
  const position = (outcome: LogPosition['outcome'], nextOffset: number): LogPosition => ({ outcome, nextOffset, maskSet: onlyMaskSet });
  if (chunk.maskSet < onlyMaskSet) return position('old_masks', stored);
  if (chunk.offset > stored) return position('gap', stored);
  const fresh = chunk.bytes.subarray(stored - chunk.offset);
  if (fresh.length === 0) return position('stored', stored);
  if (totals.stdout + totals.stderr + fresh.length > protocolLimits.logBytes) return position('full', stored);
  await tx.insertInto('log_segment').values({
    account_id: ref.accountId, attempt_id: ref.attemptId, stream: chunk.stream, start_offset: stored, bytes: Buffer.from(fresh), mask_version: chunk.maskSet, at: now,
  }).execute();
  return position('stored', stored + fresh.length);
}

async function lengths(tx: Tx, ref: AttemptRef): Promise<{ stdout: number; stderr: number }> {
  const totals = { stdout: 0, stderr: 0 };
  for (const stream of ['stdout', 'stderr'] as const) {
    const last = await tx.selectFrom('log_segment').select(['start_offset', (e) => e.fn<number>('octet_length', ['bytes']).as('length')])
      .where('account_id', '=', ref.accountId).where('attempt_id', '=', ref.attemptId).where('stream', '=', stream)
      .orderBy('start_offset', 'desc').limit(1).executeTakeFirst();
    totals[stream] = last === undefined ? 0 : last.start_offset + last.length;
  }
  return totals;
}

async function endAttempt(services: DeskServices, ref: AttemptRef, result: StepResult, now: Date): Promise<void> {
  const hash = createHash('sha256').update(canonicalJson(result)).digest();
  const place = await findAttempt(services.database.read, ref.accountId, ref.attemptId);
  const execution = place === null ? null : await findExecution(services.database.read, ref.accountId, place.executionId);
  if (place === null || execution === null) throw staleFence();
  const outputs = 'outputs' in result ? await sealOutputs(services, { execution, stepUid: place.stepUid }, result) : [];
  await services.database.transaction(async (tx) => {
    // The execution first, as everybody locks; a repeat that waited here finds what the first one said.
    await lockExecution(tx, ref.accountId, execution.id);
    if (await saidBefore(tx, ref, hash)) return;
    const locked = await lockLease(tx, ref, now);
    // Nothing has been started under a refusal; everything else says that something may have been.
    if (result.exit !== 'lost') expectStatus(locked.attempt, result.exit === 'refused' ? 'leased' : 'started');
    const totals = 'logs' in result && result.logs !== null ? JSON.stringify(result.logs) : null;
    await tx.updateTable('attempt').set({ status: 'outputs' in result ? 'ended' : 'lost', ended_at: now, result_hash: hash, log_totals: totals })
      .where('account_id', '=', ref.accountId).where('id', '=', ref.attemptId).execute();
    for (const output of outputs) if (output.row !== null) await tx.insertInto('sealed_output').values({ ...output.row, created_at: now }).execute();
    await post(services, tx, locked.execution, eventOf(locked.attempt, result, outputs.map((output) => output.event)), now);
  });
}

async function saidBefore(tx: Tx, ref: AttemptRef, hash: Buffer): Promise<boolean> {
  const row = await tx.selectFrom('attempt').select(['fence', 'runner_id', 'result_hash'])
    .where('account_id', '=', ref.accountId).where('id', '=', ref.attemptId).forUpdate().executeTakeFirst();
  return row?.result_hash?.equals(hash) === true && row.fence === ref.fence && row.runner_id === ref.runnerId;
}

type OutputEvent = Extract<NewEvent, { type: 'attempt_ended' }>['outputs'][number];

interface SealedOutput {
  readonly event: OutputEvent;
  readonly row: { account_id: string; id: string; execution_id: string; sealed: Buffer } | null;
}

/** An output that holds a secret, or is declared as one, is kept sealed; the event has only where. */
async function sealOutputs(services: DeskServices, place: { execution: Execution; stepUid: string }, result: EndedResult): Promise<SealedOutput[]> {
  const { execution } = place;
  const declared = planStep(execution.state.plan, place.stepUid)?.outputs ?? [];
  return Promise.all(
    result.outputs.flatMap((output) => {
      const wanted = declared.find((one) => one.from === output.name);
      if (wanted === undefined) return [];
      return [
        (async (): Promise<SealedOutput> => {
          const common = { name: wanted.name, secrets: [], untrusted: false };
          if (output.secrets.length === 0 && !wanted.secret) return { event: { ...common, value: { text: output.value } }, row: null };
          const id = services.randomness.uid();
          const sealed = await services.sealOutput(execution, id, output.value);
          return { event: { ...common, secrets: [id], value: { sealed: id } }, row: { account_id: execution.accountId, id, execution_id: execution.id, sealed } };
        })(),
      ];
    }),
  );
}

function eventOf(attempt: Attempt, result: StepResult, outputs: readonly OutputEvent[]): NewEvent {
  if (result.exit === 'refused') return { type: 'runner_refused', ...under(attempt), message: result.message };
  if (result.exit === 'lost') return { type: 'attempt_lost', ...under(attempt) };
  const message = result.message ?? (result.signal !== null ? `ended by ${result.signal}` : result.code === null || result.code === 0 ? undefined : `exit code ${result.code}`);
  return { type: 'attempt_ended', ...under(attempt), exit: result.exit, outputs: [...outputs], ...(message === undefined ? {} : { message }) };
}
