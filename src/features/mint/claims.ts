/** Pure: what is known of an execution → the claims of a minted token. Every claim is always there; unknown is null. */
import { filledSubject } from '#features/connectors/schema.ts';
import type { ExecutionFacts } from '#kernel/execution-facts.ts';

export interface MintParameters {
  readonly issuer: string;
  readonly audience: string;
  readonly tokenId: string;
  readonly nowSeconds: number;
  readonly ttlSeconds: number;
  readonly connector: { readonly identifier: string; readonly name: string | null };
  /** Of the connector; absent = the usual subject. */
  readonly subject?: string | undefined;
}

/** All a token says; what is not known is null. Verifiers are told of these in the metadata. */
export const claimNames = [
  'iss', 'sub', 'aud', 'iat', 'nbf', 'exp', 'jti', 'account_id', 'organization_id', 'organization_uid', 'project_id', 'project_uid', 'pipeline_id', 'pipeline_uid',
  'execution_id', 'stage_id', 'stage_type', 'step_id', 'step_type', 'connector_id', 'connector_name', 'environment_id', 'environment_uid', 'environment_type',
  'service_id', 'service_name', 'trigger_type', 'triggered_by_type', 'triggered_by_id', 'triggered_by_name', 'triggered_by_email', 'context', 'origin',
] as const;

export interface MintedClaims extends Readonly<Record<(typeof claimNames)[number], unknown>> {
  readonly iss: string;
  readonly sub: string;
  readonly aud: string;
  readonly iat: number;
  readonly nbf: number;
  readonly exp: number;
  readonly jti: string;
}

export function claimsOf(facts: ExecutionFacts, mint: MintParameters): MintedClaims {
  const { triggeredBy, origin } = facts;
  return {
    iss: mint.issuer,
    sub: subjectOf(facts, mint.subject),
    aud: mint.audience,
    iat: mint.nowSeconds,
    nbf: mint.nowSeconds,
    exp: mint.nowSeconds + mint.ttlSeconds,
    jti: mint.tokenId,
    account_id: facts.account.identifier,
    organization_id: facts.organization.identifier,
    organization_uid: facts.organization.uid,
    project_id: facts.project.identifier,
    project_uid: facts.project.uid,
    pipeline_id: facts.pipeline.identifier,
    pipeline_uid: facts.pipeline.uid,
    execution_id: facts.executionId,
    stage_id: facts.stage?.identifier ?? null,
    stage_type: facts.stage?.type ?? null,
    step_id: facts.step?.identifier ?? null,
    step_type: facts.step?.type ?? null,
    connector_id: mint.connector.identifier,
    connector_name: mint.connector.name,
    environment_id: facts.environment?.identifier ?? null,
    environment_uid: facts.environment?.uid ?? null,
    environment_type: facts.environment?.type ?? null,
    service_id: facts.service?.identifier ?? null,
    service_name: facts.service?.name ?? null,
    trigger_type: facts.trigger.type,
    triggered_by_type: triggeredBy.type,
    triggered_by_id: triggeredBy.id,
    triggered_by_name: triggeredBy.name,
    triggered_by_email: triggeredBy.email,
    context: 'PIPELINE_EXECUTION',
    origin: origin === null ? null : { iss: origin.issuer, sub: origin.subject, session_id: origin.sessionId },
  };
}

/** Uids only, so that no name that is given out again can stand in for another; no execution part, so that trust can be written. */
export function subjectOf(facts: ExecutionFacts, template?: string): string {
  const { organization, project, pipeline, environment, service } = facts;
  if (template !== undefined) {
    const uids = { organization_uid: organization.uid, project_uid: project.uid, pipeline_uid: pipeline.uid, environment_uid: environment?.uid ?? null, service_uid: service?.uid ?? null };
    return filledSubject(template, (part) => uids[part]);
  }
  const base = `prj:${project.uid}:ppl:${pipeline.uid}`;
  return environment === null ? base : `${base}:env:${environment.uid}`;
}
