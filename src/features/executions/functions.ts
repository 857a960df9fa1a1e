/** The functions expressions may call: our own, outputs of the run, and the deliveries other features bring. */
import { functionTable, ownFunctions } from '#features/expressions/feature.ts';
import { outputFunction } from '#features/pipelines/feature.ts';
import type { FunctionTable } from '#features/pipelines/feature.ts';
import type { DeliveryWords } from '#platform/delivery.ts';

export function allFunctions(deliveries: readonly DeliveryWords[]): FunctionTable {
  const declared = deliveries.map(({ name, parameters, summary, example }) => ({ name, parameters, summary, example, phase: 'delivery' as const }));
  return functionTable([...ownFunctions, outputFunction, ...declared]);
}
