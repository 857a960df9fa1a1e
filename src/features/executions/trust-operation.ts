/** What the other side of a connector is to be told so that it trusts the tokens of one stage of one pipeline. */
import { z } from 'zod';
import { trustOf } from '#features/clouds/feature.ts';
import type { ConnectorFacts } from '#features/connectors/schema.ts';
import { againstPolicy, isUsableFrom } from '#features/connectors/schema.ts';
import { claimsOf } from '#features/mint/feature.ts';
import type { PipelineSpec } from '#features/pipelines/schema.ts';
import type { ResourceServices } from '#features/resources/feature.ts';
import { findResource, targetOf } from '#features/resources/feature.ts';
import type { Question } from '#kernel/decision.ts';
import type { EnvironmentEntity, ExecutionFacts, NamedEntity } from '#kernel/execution-facts.ts';
import { assert, refusal } from '#kernel/errors.ts';
import type { AnyOperation, Plan } from '#kernel/operation.ts';
import { resolveReference } from '#kernel/reference.ts';
import { accountScope, parentOf, parseResourcePath } from '#kernel/scope.ts';
import type { Entry } from '#kernel/world.ts';
import { entryPath } from '#kernel/world.ts';
import { operation } from '#platform/call.ts';
import type { Call } from '#platform/call.ts';
import { refuseMissing } from '#platform/http/refuse.ts';
import type { PreviewedReference, StagePreview } from './stage-preview.ts';
import { stagesOf } from './stage-preview.ts';

export interface TrustServices extends ResourceServices {
  readonly issuerOf: (account: string) => string;
}

const body = z.strictObject({
  pipeline: z.string().max(390).describe('its path, such as `payments/checkout/recover`'),
  stage: z.string().max(128).optional().describe('absent = its only stage'),
  environment: z.string().max(140).optional().describe('reference of one, where the stage leaves it to the run'),
  audience: z.string().max(512).optional().describe('one of the connector’s; absent = its first'),
});
type Body = z.infer<typeof body>;

const text = z.strictObject({ title: z.string(), format: z.enum(['json', 'yaml', 'sh']), text: z.string() });
const check = z.strictObject({ what: z.string(), wants: z.string(), has: z.string(), matches: z.boolean() });
const answer = z.strictObject({
  claims: z.record(z.string(), z.unknown()).describe('as a token of the stage will say them; null also where only a run knows'),
  parts: z.array(text).describe('the configuration of the other side'),
  checks: z.array(check).describe('what it looks at, and whether the previewed token has it'),
  matches: z.boolean(),
  refused: z.string().nullable().describe('why the connector would give this stage no token; null = it would'),
});

interface Asked {
  readonly connector: Entry;
  readonly pipeline: Entry;
  readonly stage: StagePreview;
  readonly environment: Entry | null;
  readonly service: Entry | null;
}

export function trustOperation(services: TrustServices): AnyOperation {
  return operation({
    name: 'connector.trust',
    summary: 'What the other side is to be told to trust the tokens of a stage, made from a preview of their claims',
    method: 'POST',
    path: '{scope}/connectors/{identifier}/trust',
    input: { params: z.strictObject({ identifier: z.string().max(128) }), body },
    output: answer,
    access: { shape: 'plan', plan: (call: Call, input: { params: { identifier: string }; body: Body }) => planTrust(services, call, input) },
    audit: null,
    dialect: 'api',
    prepare: async (call, input, asked: Asked) => trustAnswer(services, call, input.body, asked),
  });
}

/** Whoever sees connector, pipeline, environment and service may be told what tokens say of them. */
async function planTrust(services: TrustServices, call: Call, { params, body: wish }: { params: { identifier: string }; body: Body }): Promise<Plan<Asked>> {
  const seen: Question[] = [];
  const visible = (kind: string, entry: Entry | undefined, name: string): Entry => {
    if (entry === undefined) throw refuseMissing(call, `${kind}.view`, name);
    seen.push({ permission: `${kind}.view`, target: targetOf(entry) });
    return entry;
  };
  const planned = (found: Asked): Plan<Asked> => ({ checks: seen.map((question) => ({ ask: 'permission', ...question, world: 'before' })), before: call.world, after: call.world.overlay([]), found });
  const connector = visible('connector', call.world.find('connector', call.scope, params.identifier), params.identifier);
  const path = parseResourcePath(wish.pipeline);
  const pipeline = visible('pipeline', path === null ? undefined : call.world.find('pipeline', path.scope, path.identifier), wish.pipeline);
  // What the pipeline says is told only to those who may see it.
  if (!seen.every((question) => call.decide(question).allowed)) return planned(null as never);
  const document = await findResource(services, call.account.id, pipeline.uid);
  if (document === null) throw refuseMissing(call, 'pipeline.view', wish.pipeline);
  const stage = stageOf(stagesOf(document.spec as PipelineSpec, pipeline.scope), wish);
  const named = (kind: string, reference: string | null): Entry | null => {
    if (reference === null) return null;
    const place = resolveReference(reference, pipeline.scope);
    return visible(kind, place === null ? undefined : call.world.find(kind, place.scope, place.identifier), reference);
  };
  const environment = named('environment', environmentOf(stage.environment, wish));
  return planned({ connector, pipeline, stage, environment, service: named('service', stage.service.reference) });
}

function stageOf(stages: readonly StagePreview[], { stage }: Body): StagePreview {
  const found = stage === undefined ? (stages.length === 1 ? stages[0] : undefined) : stages.find(({ identifier }) => identifier === stage);
  if (found !== undefined) return found;
  const message = `${stage === undefined ? 'name one of the stages' : `there is no stage \`${stage}\``}: the pipeline has ${stages.map(({ identifier }) => identifier).join(', ').slice(0, 1_000)}`;
  throw refusal('request.invalid', { errors: [{ pointer: '/stage', message }] });
}

function environmentOf({ written, reference }: PreviewedReference, { environment }: Body): string | null {
  const fault = (message: string) => refusal('request.invalid', { errors: [{ pointer: '/environment', message }] });
  if (environment === undefined && written && reference === null) throw fault('the stage leaves its environment to the run: name the one you mean');
  if (environment !== undefined && (!written || (reference !== null && reference !== environment))) throw fault('the stage says itself which environment it has');
  return environment ?? reference;
}

/** Claims that only a run knows. */
const ofRuns = [
  'iat', 'nbf', 'exp', 'jti', 'execution_id', 'step_id', 'step_type', 'trigger_type', 'triggered_by_type', 'triggered_by_id', 'triggered_by_name', 'triggered_by_email', 'origin',
] as const;
const nobody = { type: 'system', id: '', name: null, email: null } as const;

function trustAnswer({ issuerOf }: TrustServices, call: Call, wish: Body, { connector, pipeline, stage, environment, service }: Asked): z.infer<typeof answer> {
  const { spec, audiences, ttlSeconds } = connector.facts as ConnectorFacts;
  const audience = wish.audience ?? audiences[0]!;
  if (!audiences.includes(audience)) throw refusal('request.invalid', { errors: [{ pointer: '/audience', message: 'the connector has no such audience' }] });
  const facts = factsOf(call, { pipeline, stage, environment, service });
  const said = claimsOf(facts, {
    issuer: issuerOf(call.account.identifier), audience, tokenId: '', nowSeconds: 0, ttlSeconds, connector: { identifier: connector.identifier, name: connector.name }, subject: spec.subject,
  });
  const claims = { ...said, ...Object.fromEntries(ofRuns.map((name) => [name, null])), ...(stage.service.written && service === null ? { service_id: null, service_name: null } : {}) };
  const { parts, check: checkOf } = trustOf({ spec, claims, connector: entryPath(connector) });
  const checks = [...checkOf(claims)];
  return { claims, parts: [...parts], checks, matches: checks.every(({ matches }) => matches), refused: refusedFor(connector, pipeline, facts) };
}

function refusedFor(connector: Entry, pipeline: Entry, facts: ExecutionFacts): string | null {
  if (!isUsableFrom(connector, pipeline.scope)) return `its \`usableFrom\` does not name \`${pipeline.scope}\``;
  return againstPolicy((connector.facts as ConnectorFacts).spec.mintPolicy, facts);
}

function factsOf({ world, account }: Call, { pipeline, stage, environment, service }: Omit<Asked, 'connector'>): ExecutionFacts {
  const org = parentOf(pipeline.scope)!;
  const organization = world.find('organization', accountScope, org);
  const project = world.find('project', org, pipeline.scope.slice(org.length + 1));
  assert(organization !== undefined && project !== undefined, 'a pipeline lies in a project');
  return {
    account: { identifier: account.identifier, uid: account.id, name: null }, organization: named(organization), project: named(project), pipeline: named(pipeline),
    executionId: '', stage: { identifier: stage.identifier, type: stage.type }, step: null,
    environment: environment === null ? null : { ...named(environment), type: environment.attributes['type'] as EnvironmentEntity['type'] },
    service: service === null ? null : named(service), trigger: { type: '' }, triggeredBy: nobody, origin: null,
  };
}

function named({ identifier, uid, name }: Entry): NamedEntity {
  return { identifier, uid, name };
}
