/** Runners: who may run steps, and what they and the server say to each other. */
import type { Manifest } from '#kernel/manifest.ts';
import type { Snapshots } from '#features/resources/feature.ts';
import type { Clock } from '#platform/clock.ts';
import type { Database } from '#platform/database/database.ts';
import type { Cursors } from '#platform/http/cursor.ts';
import { attemptOperations } from './attempt-operations.ts';
import { runnerRecogniser } from './recognise.ts';
import type { RegistrationServices } from './registration.ts';
import { registrationOperations } from './registration.ts';
import { runnerOperations } from './runner-operations.ts';
import type { AttemptDesk } from './schema.ts';
import { protocolLimits, runnerNoun } from './schema.ts';
import { createWorkWait } from './work-wait.ts';

export { registerLocal } from './registration.ts';

export interface RunnerServices {
  readonly database: Database;
  readonly snapshots: Snapshots;
  readonly clock: Clock;
  readonly cursors: Cursors;
  readonly stillMay: RegistrationServices['stillMay'];
  /** Where attempts live. */
  readonly desk: AttemptDesk;
  /** A third of a lease, so that two heartbeats may be lost. */
  readonly heartbeatMs: number;
  /** Longest time one request may take; runners wait for work a little less. */
  readonly requestTimeoutMs: number;
  /** Requests worked on at the same time; waiting runners take at most half of them. */
  readonly maxInFlight: number;
  /** What a lost hint costs. */
  readonly claimPollMs?: number;
}

const defaultPollMs = 5_000;
const answerMs = 2_000;

/** What `createKinds` needs of runners; no service. */
export const runners = { name: 'runners', nouns: [runnerNoun] } satisfies Manifest;

export function runnersFeature(services: RunnerServices): { readonly manifest: Manifest; /** Answers every waiting runner; call it before the server drains. */ readonly release: () => void } {
  const wait = createWorkWait({
    desk: services.desk,
    clock: services.clock,
    pollMs: services.claimPollMs ?? defaultPollMs,
    maxWaiting: Math.max(1, Math.floor(services.maxInFlight / 2)),
    maxWaitMs: Math.max(0, Math.min(protocolLimits.claimWaitMs, services.requestTimeoutMs - answerMs)),
  });
  const operations = [...registrationOperations(services), ...runnerOperations(services), ...attemptOperations({ ...services, wait })];
  return { manifest: { name: 'runners', operations, recognisers: [runnerRecogniser(services)] }, release: () => wait.release() };
}
