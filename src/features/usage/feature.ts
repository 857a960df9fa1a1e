/** The door of usage: what permissions are used for, by day, and what of them is not. */
import type { Manifest } from '#kernel/manifest.ts';
import type { Clock } from '#platform/clock.ts';
import { sweepOlder } from '#platform/database/sweep.ts';
import type { UnusedServices } from './unused.ts';
import { unusedOperation } from './unused.ts';

export { createUseRecorder } from './recorder.ts';
export type { UseRecorder } from './recorder.ts';

/** More than can be asked about. */
const keptMs = 400 * 86_400_000;

export function usageFeature(services: UnusedServices & { readonly clock: Clock }): Manifest {
  const { database, clock, uses } = services;
  return {
    name: 'usage',
    operations: [unusedOperation(services)],
    jobs: [
      { name: 'usage.write', everyMs: 5_000, run: () => uses.flush() },
      {
        name: 'usage.sweep', everyMs: 3_600_000,
        run: (signal) => sweepOlder(database, { table: 'permission_use', column: 'last_used' }, { before: new Date(clock.now().getTime() - keptMs), signal }),
      },
    ],
  };
}
