/** The words of pipelines: the kinds pipeline, environment and service, the noun execution, and what an execution is known by. */
import { z } from 'zod';
import type { EnvironmentEntity, NamedEntity, Origin, TriggeredBy } from '#kernel/execution-facts.ts';
import type { Kind, Noun } from '#kernel/kind.ts';
import { pipelineSpec } from './document.ts';
import type { PipelineSpec } from './document.ts';
import { manifestFaults } from './rules.ts';

export type { PipelineSpec, StageDocument } from './document.ts';

/**
 * A pipeline. Its tags are those of the manifest; they are what conditions read. The spec holds the documented YAML under
 * `pipeline`. Expressions are checked at save by a gate, which has the function table (`checkTemplates`).
 */
export const pipelineKind: Kind<PipelineSpec> = {
  name: 'pipeline',
  levels: ['project'],
  verbs: ['view', 'create', 'edit', 'delete', 'execute', 'govern'],
  spec: pipelineSpec,
  version: 1,
  check: (draft) => manifestFaults(draft),
};

const environmentTypes = ['Production', 'PreProduction'] as const;
export type EnvironmentType = (typeof environmentTypes)[number];

const environmentSpec = z.strictObject({ type: z.enum(environmentTypes) });
type EnvironmentSpec = z.infer<typeof environmentSpec>;

export const environmentKind: Kind<EnvironmentSpec> = {
  name: 'environment',
  levels: ['project', 'org', 'account'],
  verbs: ['view', 'create', 'edit', 'delete', 'access', 'govern'],
  spec: environmentSpec,
  version: 1,
  attributes: { type: (spec) => spec.type },
};

const serviceSpec = z.strictObject({});
type ServiceSpec = z.infer<typeof serviceSpec>;

export const serviceKind: Kind<ServiceSpec> = {
  name: 'service',
  levels: ['project', 'org', 'account'],
  verbs: ['view', 'create', 'edit', 'delete', 'access', 'govern'],
  spec: serviceSpec,
  version: 1,
};

export const executionNoun: Noun = { name: 'execution', levels: ['project'], verbs: ['view', 'abort'] };

/** The documented words for how far an execution, a stage or a step is. */
export const finalStatuses = ['Success', 'Failed', 'Errored', 'Expired', 'Aborted', 'IgnoreFailed', 'Skipped'] as const;
export const openStatuses = ['NotStarted', 'Queued', 'Running', 'Discontinuing'] as const;
export type FinalStatus = (typeof finalStatuses)[number];
export type Status = FinalStatus | (typeof openStatuses)[number];

export function isFinal(status: Status): status is FinalStatus {
  return (finalStatuses as readonly Status[]).includes(status);
}

/** From the server's configuration, fixed when the run starts, so that its events lead to one state for ever. */
export interface ExecutionLimits {
  /** How long an attempt waits for a runner before its step expires. */
  readonly queueMs: number;
  /** How often a step is offered when runners lose or refuse it before it starts. */
  readonly maxOffers: number;
}

export const defaultLimits: ExecutionLimits = { queueMs: 3_600_000, maxOffers: 5 };

/**
 * What is fixed about an execution when it starts, besides its plan. Stored with it; every claim and every expression root
 * comes from here, never from the caller.
 */
export interface ExecutionRecord {
  readonly formatVersion: 1;
  readonly executionId: string;
  /** Counts the runs of the pipeline from 1. */
  readonly sequenceId: number;
  readonly account: NamedEntity;
  readonly organization: NamedEntity;
  readonly project: NamedEntity;
  readonly trigger: { readonly type: string };
  readonly triggeredBy: TriggeredBy;
  readonly origin: Origin | null;
  /** Started by something an outsider can steer, such as a pull request from a fork: all its outputs are untrusted. */
  readonly untrusted: boolean;
  readonly limits: ExecutionLimits;
  /** What the references of the plan were resolved to, by reference as written in the plan. */
  readonly environments: readonly (EnvironmentEntity & { readonly reference: string })[];
  readonly services: readonly (NamedEntity & { readonly reference: string })[];
}
