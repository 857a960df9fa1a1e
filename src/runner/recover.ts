/** What an earlier life of this runner has left: told to the server, cleaned up, never run again. */
import { readdir } from 'node:fs/promises';
import { z } from 'zod';
import type { LogTotals, StepResult, Stream } from '#features/runners/schema.ts';
import { resultBody } from '#features/runners/schema.ts';
import { describeError } from '#platform/log.ts';
import { removeAttemptDirectory } from './attempt-directory.ts';
import type { AttemptServices } from './attempt.ts';
import { deliverResult } from './deliver-result.ts';
import type { JournalEntry } from './journal.ts';
import { LogSpool } from './log-spool.ts';
import { uploadLog } from './log-upload.ts';
import { persist } from './persist.ts';
import { openSealed } from './sealed.ts';

const keptResult = z.strictObject({ attemptId: z.uuid(), fence: z.int(), result: resultBody.shape.result });

/** The directories of steps that are dead. Nothing may run in them yet. */
export async function removeLeftSteps({ workRoot, isolation }: AttemptServices): Promise<void> {
  for (const attemptId of await readdir(workRoot)) await removeAttemptDirectory({ workRoot, attemptId, tools: isolation.tools });
}

/** Resolves when every attempt of `left` is settled. */
export async function settleLeft(services: AttemptServices, left: readonly JournalEntry[]): Promise<void> {
  await Promise.all(left.map((entry) => settle(services, entry)));
}

async function settle(services: AttemptServices, entry: JournalEntry): Promise<void> {
  services.log.warn({ attempt: entry.attemptId, state: entry.state }, 'an attempt was left by a runner that ended in the middle of it');
  await deliverResult(services, entry, await lastWord(services, entry));
}

async function lastWord(services: AttemptServices, entry: JournalEntry): Promise<StepResult> {
  if (entry.state === 'claimed') return { exit: 'refused', message: 'the runner ended before the step began' };
  const logs = await bringLogs(services, entry);
  const lost: StepResult = { exit: 'lost', message: 'the runner ended while the step ran', logs };
  if (entry.state === 'started') return lost;
  try {
    return (await openSealed(services.identity, entry.result, keptResult, entry)).result;
  } catch (error) {
    services.log.error({ attempt: entry.attemptId, error: describeError(error) }, 'a result that was kept cannot be read');
    return lost;
  }
}

/** What was masked and not yet sent; null when it cannot be brought. */
async function bringLogs(services: AttemptServices, entry: Exclude<JournalEntry, { state: 'claimed' }>): Promise<LogTotals | null> {
  try {
    return { stdout: await bringLog(services, entry, 'stdout'), stderr: await bringLog(services, entry, 'stderr'), truncated: false };
  } catch (error) {
    services.log.warn({ attempt: entry.attemptId, error: describeError(error) }, 'the log is incomplete');
    return null;
  }
}

async function bringLog({ transport, randomness, journal, givenUp }: AttemptServices, entry: Exclude<JournalEntry, { state: 'claimed' }>, stream: Stream): Promise<LogTotals['stdout']> {
  const spool = await LogSpool.reopen(journal.logPath(entry.attemptId, stream), entry.maskSet);
  if (spool === null) throw new Error(`there is no ${stream}`);
  try {
    const send = (chunk: Parameters<typeof transport.log>[1]) => persist((signal) => transport.log(entry, chunk, { signal }), { randomness, signal: givenUp });
    await uploadLog({ stream, spool, masks: null, newestMaskSet: () => 0, renewMasks: async () => {}, send, signal: givenUp });
    return await spool.total();
  } finally {
    await spool.close();
  }
}

