/** What runners call: claim, payload, masks, started, heartbeat, logs, result. Who holds what is the desk's to say. */
import { z } from 'zod';
import { refusal } from '#kernel/errors.ts';
import type { AnyOperation } from '#kernel/operation.ts';
import type { Call } from '#platform/call.ts';
import { operation } from '#platform/call.ts';
import type { Clock } from '#platform/clock.ts';
import type { Database } from '#platform/database/database.ts';
import { callingRunner } from './recognise.ts';
import type { AttemptDesk, AttemptRef, ClaimAnswer, ClaimBody, LeaseAnswer, LeaseState, SealedAnswer } from './schema.ts';
import {
  claimAnswer, claimBody, leaseAnswer, leaseBody, logAnswer, logBody, masksBody, protocolLimits, protocolVersion, resultAnswer, resultBody, sealedAnswer, tokensBody,
} from './schema.ts';
import { sealFor } from './seal.ts';
import { findRunner, markSeen } from './store.ts';
import type { Runner } from './store.ts';
import type { WorkWait } from './work-wait.ts';

export interface AttemptServices {
  readonly database: Database;
  readonly clock: Clock;
  readonly desk: AttemptDesk;
  readonly wait: WorkWait;
  /** How often runners are to renew their leases. */
  readonly heartbeatMs: number;
}

const protocol = protocolVersion;
const crowdedRetryMs = 5_000;
const pausedRetryMs = 15_000;

export function attemptOperations(services: AttemptServices): AnyOperation[] {
  const claims = operation({
    name: 'runner.claim',
    summary: 'Leases the next attempt to the calling runner; waits for one up to `waitMs`',
    method: 'POST',
    path: '{account}/runner/claims',
    input: { body: claimBody },
    output: claimAnswer,
    access: { shape: 'self' },
    audit: null,
    dialect: 'runner',
    prepare: (call, { body }) => claim(services, call, callingRunner(call, '/runner/claims', body), body),
  });

  const payload = onAttempt('payload', 'What to run, sealed to the calling runner; until the attempt has started', { body: leaseBody, output: sealedAnswer }, async ({ ref, runner, now }): Promise<SealedAnswer> => {
    const content = await services.desk.payload(ref, now);
    return { protocol, sealed: await sealFor(runner, { ...content, ...placeOf(ref) }) };
  });

  const masks = onAttempt('masks', 'Secrets that joined the attempt after a version of its mask set, sealed to the calling runner', { body: masksBody, output: sealedAnswer }, async ({ ref, runner, now, body }): Promise<SealedAnswer> => {
    const content = await services.desk.masks(ref, body.after, now);
    return { protocol, sealed: await sealFor(runner, { ...content, ...placeOf(ref) }) };
  });

  const tokens = onAttempt('tokens', 'A new token of an identity of the step, and the files made of it, sealed to the calling runner', { body: tokensBody, output: sealedAnswer }, async ({ ref, runner, now, body: { identity, audience } }): Promise<SealedAnswer> => {
    const content = await services.desk.token(ref, { identity, audience }, now);
    return { protocol, sealed: await sealFor(runner, { ...content, ...placeOf(ref) }) };
  });

  const started = onAttempt('started', 'Says that the process is about to be started; durable when answered', { body: leaseBody, output: leaseAnswer }, async ({ ref, now }) =>
    leaseOf(services, await services.desk.started(ref, now), now));

  const heartbeat = onAttempt('heartbeat', 'Renews the lease; tells of cancellation and of new secrets to mask', { body: leaseBody, output: leaseAnswer }, async ({ ref, now }) =>
    leaseOf(services, await services.desk.heartbeat(ref, now), now));

  const logs = onAttempt('logs', 'Appends masked bytes to a stream at an offset; tells which offset is next', { body: logBody, output: logAnswer }, async ({ ref, now, body }) => {
    const bytes = Buffer.from(body.data, 'base64');
    if (bytes.length > protocolLimits.chunkBytes) throw refusal('request.too_large', { say: `a chunk has at most ${protocolLimits.chunkBytes} bytes` });
    const { stream, offset, maskSet } = body;
    return { protocol, ...(await services.desk.appendLog(ref, { stream, offset, bytes, maskSet }, now)) } as const;
  });

  const result = onAttempt('result', 'How the attempt ended; ends the lease', { body: resultBody, output: resultAnswer }, async ({ ref, now, body }) => {
    await services.desk.result(ref, body.result, now);
    return { protocol } as const;
  });

  return [claims, payload, masks, tokens, started, heartbeat, logs, result];
}

interface Asked<B> {
  readonly ref: AttemptRef;
  readonly runner: Runner;
  readonly now: Date;
  readonly body: B;
}

const attemptParams = z.strictObject({ attempt: z.uuid() });

function onAttempt<B extends z.ZodType<{ readonly fence: number }>, O>(
  name: string, summary: string, { body, output }: { readonly body: B; readonly output: z.ZodType<O> }, answer: (asked: Asked<z.infer<B>>) => Promise<O>,
): AnyOperation {
  return operation({
    name: `attempt.${name}`,
    summary,
    method: 'POST',
    path: `{account}/runner/attempts/{attempt}/${name}`,
    input: { params: attemptParams, body },
    output,
    access: { shape: 'self' },
    audit: null,
    dialect: 'runner',
    prepare: async (call, input) => {
      const read = input.body as z.infer<B>;
      const { attempt } = input.params;
      const runner = callingRunner(call, `/runner/attempts/${attempt}/${name}`, read);
      return answer({ ref: { accountId: call.account.id, runnerId: runner.id, attemptId: attempt, fence: read.fence }, runner, now: call.now, body: read });
    },
  });
}

async function claim({ desk, wait, clock, database, heartbeatMs }: AttemptServices, call: Call, runner: Runner, body: ClaimBody): Promise<ClaimAnswer> {
  await markSeen(database.read, runner, call.now);
  if (runner.state === 'paused') return { protocol, claim: null, retryAfterMs: pausedRetryMs };
  let known: Runner | null = runner;
  const ask = async () => {
    // Whoever waits may have been paused, relabelled or removed since it asked.
    const present = known ?? (await findRunner(database.read, runner.accountId, runner.id));
    known = null;
    if (present?.state !== 'active') return null;
    const { accountId, id: runnerId, scope, identifier, labels } = present;
    return desk.claim({ accountId, runnerId, scope, labels: [identifier, ...labels], claimId: body.claimId, now: clock.now(), signal: call.signal });
  };
  const { claimed, crowded } = await wait.next(ask, { accountId: call.account.id, asker: runner.id, waitMs: body.waitMs, signal: call.signal });
  if (claimed === null) return { protocol, claim: null, retryAfterMs: crowded ? crowdedRetryMs : 0 };
  const { attemptId, fence, leaseUntil } = claimed;
  return { protocol, claim: { attemptId, fence, leaseMs: remaining(leaseUntil, clock.now()), heartbeatMs }, retryAfterMs: 0 };
}

function leaseOf({ heartbeatMs }: AttemptServices, { leaseUntil, cancel, maskSet }: LeaseState, now: Date): LeaseAnswer {
  return { protocol, leaseMs: remaining(leaseUntil, now), heartbeatMs, cancel, maskSet };
}

function remaining(until: Date, now: Date): number {
  return Math.max(0, until.getTime() - now.getTime());
}

/** Inside what is sealed, so that what was sealed for one lease does not pass for another's. */
function placeOf(ref: AttemptRef) {
  return { protocol, attemptId: ref.attemptId, fence: ref.fence };
}
