/** Who runs what, where, for whom: what minted tokens and expressions say about an execution. From its record, from nowhere else. */
import type { PrincipalType } from './caller.ts';

export interface NamedEntity {
  readonly identifier: string;
  readonly uid: string;
  readonly name: string | null;
}

export interface EnvironmentEntity extends NamedEntity {
  readonly type: 'Production' | 'PreProduction';
}

/** Who started the run, as it was then. */
export interface TriggeredBy {
  readonly type: PrincipalType;
  /** Uid of the principal; of a workload its id. */
  readonly id: string;
  readonly name: string | null;
  readonly email: string | null;
}

/** The outside identity behind the run, when a workload started it. */
export interface Origin {
  readonly issuer: string;
  readonly subject: string;
  readonly sessionId: string;
}

/** All that a minted token can say about the step that asked (CONTRACTS §6). Null = not known or not applicable. */
export interface ExecutionFacts {
  readonly account: NamedEntity;
  readonly organization: NamedEntity;
  readonly project: NamedEntity;
  readonly pipeline: NamedEntity;
  readonly executionId: string;
  readonly stage: { readonly identifier: string; readonly type: string } | null;
  readonly step: { readonly identifier: string; readonly type: string } | null;
  readonly environment: EnvironmentEntity | null;
  readonly service: NamedEntity | null;
  readonly trigger: { readonly type: string };
  readonly triggeredBy: TriggeredBy;
  readonly origin: Origin | null;
}
