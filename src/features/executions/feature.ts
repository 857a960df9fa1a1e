/** Executions: start, watch, abort; and the work that goes on without anybody asking. */
import type { Manifest } from '#kernel/manifest.ts';
import { ledgerOperations } from './ledger.ts';
import { listOperation } from './list.ts';
import type { StartServices } from './start.ts';
import { startOperation } from './start.ts';
import type { TimerServices } from './timers.ts';
import { fireTimers, loseExpiredLeases } from './timers.ts';
import type { TrustServices } from './trust-operation.ts';
import { trustOperation } from './trust-operation.ts';
import { watchOperations } from './watch.ts';

export { createDesk } from './desk.ts';
export { allFunctions } from './functions.ts';

export interface ExecutionServices extends StartServices, TimerServices, TrustServices {
  readonly timersMs: number;
}

export function executionsFeature(services: ExecutionServices): Manifest {
  return {
    name: 'executions',
    operations: [startOperation(services), listOperation(services), ...watchOperations(services), ...ledgerOperations(services), trustOperation(services)],
    jobs: [
      { name: 'executions.leases', everyMs: services.timersMs, run: () => loseExpiredLeases(services) },
      { name: 'executions.timers', everyMs: services.timersMs, run: () => fireTimers(services) },
    ],
  };
}
