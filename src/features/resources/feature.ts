/** Resources: one table, one store, one path of change for every kind. */
import type { Kinds } from '#kernel/kind.ts';
import type { Manifest } from '#kernel/manifest.ts';
import { bulkOperations } from './apply.ts';
import type { ResourceServices } from './operations.ts';
import { operationsOf } from './operations.ts';
import { forgetOldChanges } from './snapshots.ts';

export type { ResourceServices } from './operations.ts';
export { firstOf, ofKindWithin } from './ordered.ts';
export type { ChangeRules } from './plan.ts';
export { targetOf } from './plan.ts';
export { reviewDocuments } from './review.ts';
export type { Snapshots } from './snapshots.ts';
export { createSnapshots } from './snapshots.ts';
export type { ChangeServices, ReadyChange } from './change.ts';
export { entryOf, findResource } from './store.ts';
export type { StoredResource } from './schema.ts';
export { authorOf, changeAs, openSecret, writeAs } from './change.ts';

export function resourcesFeature(services: ResourceServices): Manifest {
  const kinds: Kinds = services.kinds;
  return {
    name: 'resources',
    operations: [...[...kinds.kinds.values()].flatMap((kind) => operationsOf(services, kind)), ...bulkOperations(services)],
    jobs: [{ name: 'access.forget', everyMs: 3_600_000, run: (signal) => forgetOldChanges(services.database, services.clock, signal) }],
  };
}
