/** The attempts as the runner protocol sees them. */
import type { AttemptDesk, AttemptRef, LeaseState } from '#features/runners/schema.ts';
import { protocolLimits } from '#features/runners/schema.ts';
import type { Caller } from '#kernel/caller.ts';
import { refusal } from '#kernel/errors.ts';
import { appendLog } from './append-log.ts';
import type { Attempt } from './attempts.ts';
import { findAttempt } from './attempts.ts';
import type { ClaimServices } from './claim.ts';
import { claimAttempt } from './claim.ts';
import { findDelivered, forgetDelivered, keepDelivered, sealDelivered } from './delivered.ts';
import { identitiesFor } from './deliver-identities.ts';
import type { DeliveredStep, StepRequest } from './deliver-step.ts';
import { deliverStep, prepare } from './deliver-step.ts';
import { endAttempt } from './end-attempt.ts';
import { attemptsChannel, postSurely, under } from './engine.ts';
import { openGrant } from './grant.ts';
import { expectStatus, holds, lockAttempt, lockLease, patience, renewed, staleFence } from './lease.ts';
import { isFaultOfStep, refuseStep } from './refuse-step.ts';
import { findExecution } from './store.ts';
import { tokenFor } from './token-for.ts';

export interface DeskServices extends ClaimServices {
  /** How much log an attempt may have; absent = what the protocol allows. */
  readonly maxLogBytes?: number;
}

export function createDesk(services: DeskServices): AttemptDesk & { readonly listen: () => Promise<void> } {
  const { database, maxLogBytes = protocolLimits.logBytes } = services;
  const watchers = new Map<string, Set<() => void>>();
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
      const { maskSet, payload, environment, masks, identities } = await deliverTo(services, ref, now);
      return {
        script: payload.script,
        shell: payload.shell === 'Bash' ? 'bash' : 'sh',
        environment: { ...environment },
        secrets: [...masks],
        maskSet,
        outputVariables: payload.outputVariables.map((output) => output.from),
        timeoutMs: payload.timeoutMs,
        ...(identities === null ? {} : { identities: identitiesFor(identities, now) }),
      };
    },
    async masks(ref, after, now) {
      const { maskSet } = await confirm(services, ref, now);
      // All secrets of an attempt come with its payload.
      if (after < maskSet) throw refusal('runner.protocol', { say: `the secrets after version ${after} are in the payload` });
      return { maskSet, secrets: [] };
    },
    token: (ref, wish, now) => tokenFor(services, ref, wish, now),
    started: (ref, now) => start(services, ref, now),
    heartbeat: (ref, now) => renew(services, ref, now),
    appendLog: (ref, chunk, now) => database.transaction((tx) => appendLog(tx, ref, chunk, { now, maxBytes: maxLogBytes })),
    result: (ref, result, now) => endAttempt(services, ref, result, now),
  };
}

async function confirm({ database }: DeskServices, ref: AttemptRef, now: Date): Promise<Attempt> {
  const attempt = await findAttempt(database.read, ref);
  if (attempt === null || !holds(attempt, ref, now)) throw staleFence();
  return attempt;
}

/**
 * Opens and mints, then keeps the values and records every use in one transaction that confirms the lease; only then they
 * leave. Asked again, the run must still be allowed them, and they are the same.
 */
async function deliverTo(services: DeskServices, ref: AttemptRef, now: Date): Promise<Pick<DeliveredStep, 'payload' | 'environment' | 'masks' | 'identities'> & { readonly maskSet: number }> {
  const attempt = await confirm(services, ref, now);
  expectStatus(attempt, 'leased');
  const execution = await findExecution(services.database.read, attempt);
  if (execution === null) throw staleFence();
  let caller: Caller | null = null;
  try {
    caller = await openGrant(services, attempt, execution.runGrant, now);
    const world = await services.snapshots.world(ref.accountId);
    const request: StepRequest = { execution, stepUid: attempt.stepUid, attemptId: attempt.id, caller, world, now };
    const before = await findDelivered(services, ref);
    if (before !== null) return { maskSet: attempt.maskSet, payload: prepare(services, request).payload, ...before };
    const step = await deliverStep(services, request);
    // What holds no secret is made the same again.
    const sealed = step.masks.length === 0 && step.acts.length === 0 ? null : await sealDelivered(services, ref, step);
    const isFirst = await services.database.transaction(async (tx) => {
      const locked = await lockLease(tx, ref, now);
      expectStatus(locked.attempt, 'leased');
      if (sealed === null) return true;
      if (!(await keepDelivered(tx, ref, { sealed, now }))) return false;
      for (const record of step.records) await record(tx);
      await services.record(tx, { accountId: ref.accountId, now, caller, address: null, requestId: execution.id, action: 'run.use' }, step.acts);
      return true;
    });
    // Two questions at one moment: what was made here leaves nobody, the other's stands.
    if (!isFirst) return await deliverTo(services, ref, now);
    for (const question of step.uses) services.used(caller, question, now);
    return { maskSet: attempt.maskSet, ...step };
  } catch (error) {
    if (!isFaultOfStep(error)) throw error;
    await services.database.transaction(async (tx) => {
      const locked = await lockLease(tx, ref, now);
      expectStatus(locked.attempt, 'leased');
      await refuseStep(services, tx, { ...locked, error, now, caller });
    });
    throw staleFence();
  }
}

async function start(services: DeskServices, ref: AttemptRef, now: Date): Promise<LeaseState> {
  return services.database.transaction(async (tx) => {
    const { execution, attempt } = await lockLease(tx, ref, now);
    const first = attempt.status === 'leased';
    const leaseLimit = first ? new Date(now.getTime() + attempt.timeoutMs + patience.endMs) : attempt.leaseLimit;
    const leaseUntil = renewed({ ...attempt, leaseLimit }, { now, leaseMs: services.leaseMs });
    await tx.updateTable('attempt').set({ lease_until: leaseUntil, lease_limit: leaseLimit, ...(first ? { status: 'started' as const, started_at: now } : {}) })
      .where('account_id', '=', ref.accountId).where('id', '=', ref.attemptId).execute();
    if (first) {
      await forgetDelivered(tx, ref);
      await postSurely(services, tx, execution, { type: 'attempt_started', ...under(attempt) }, now);
    }
    return { leaseUntil, cancel: attempt.cancel, maskSet: attempt.maskSet };
  });
}

/** Touches the attempt alone: a long execution is not read for every heartbeat of its steps. */
async function renew(services: DeskServices, ref: AttemptRef, now: Date): Promise<LeaseState> {
  return services.database.transaction(async (tx) => {
    const attempt = await lockAttempt(tx, ref);
    if (!holds(attempt, ref, now)) throw staleFence();
    const leaseUntil = renewed(attempt, { now, leaseMs: services.leaseMs });
    await tx.updateTable('attempt').set({ lease_until: leaseUntil }).where('account_id', '=', ref.accountId).where('id', '=', ref.attemptId).execute();
    return { leaseUntil, cancel: attempt.cancel, maskSet: attempt.maskSet };
  });
}
