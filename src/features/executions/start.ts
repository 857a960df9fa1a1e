/** Starts a run: compiles the plan, asks for everything it names, fixes its record, and posts its first event. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { compilePlan, defaultLimits, initialState } from '#features/pipelines/feature.ts';
import type { ExecutionRecord, FunctionTable, Plan as PipelinePlan } from '#features/pipelines/feature.ts';
import type { EnvironmentEntity, NamedEntity } from '#kernel/execution-facts.ts';
import { findResource, targetOf } from '#features/resources/feature.ts';
import type { ResourceServices, StoredResource } from '#features/resources/feature.ts';
import { canonicalJson } from '#kernel/canonical.ts';
import type { Check } from '#kernel/decision.ts';
import { refusal } from '#kernel/errors.ts';
import type { Plan } from '#kernel/operation.ts';
import { accountScope, parentOf } from '#kernel/scope.ts';
import type { Entry } from '#kernel/world.ts';
import { entryPath } from '#kernel/world.ts';
import type { Call } from '#platform/call.ts';
import type { Tx } from '#platform/database/database.ts';
import type { EngineServices } from './engine.ts';
import { post } from './engine.ts';
import { sealGrant } from './grant.ts';
import type { Execution } from './store.ts';
import { insertExecution, nextSequenceId } from './store.ts';
import { decideUse } from './uses.ts';

export interface StartServices extends ResourceServices, EngineServices {
  readonly functions: FunctionTable;
}

export const startBody = z.strictObject({
  pipeline: z.string().max(128).describe('identifier of the pipeline in this project'),
  inputs: z.record(z.string().max(256), z.union([z.string().max(65_536), z.number(), z.boolean()])).default({}),
});

/** A run all of whose questions were answered yes. */
export interface ReadyRun {
  readonly pipeline: StoredResource;
  readonly plan: PipelinePlan;
  readonly entities: ReadonlyMap<string, Entry>;
}

export async function planRun(services: StartServices, call: Call, body: z.infer<typeof startBody>): Promise<Plan<ReadyRun>> {
  const entry = call.world.find('pipeline', call.scope, body.pipeline);
  if (entry === undefined) throw refusal('access.not_found');
  const execute: Check = { ask: 'permission', permission: 'pipeline.execute', target: targetOf(entry), world: 'before' };
  const alone = { checks: [execute], before: call.world, after: call.world.overlay([]) };
  // Faults of the pipeline are told only to those who may run it.
  if (!call.decide({ permission: execute.permission, target: execute.target }).allowed) return { ...alone, found: null as never };
  const pipeline = await findResource(services, call.account.id, entry.uid);
  if (pipeline === null) throw refusal('access.not_found');
  const sha256 = createHash('sha256').update(canonicalJson(pipeline.spec)).digest('hex');
  const result = compilePlan({
    document: pipeline.spec, scope: pipeline.scope, identifier: pipeline.identifier, name: pipeline.name,
    revision: { uid: entry.uid, version: pipeline.version, sha256 }, inputs: body.inputs, functions: services.functions,
  });
  if (!('plan' in result)) throw refusal(result.code, { errors: result.errors });
  const entities = new Map<string, Entry>();
  const uses: Check[] = result.plan.references.map((reference) => {
    const use = decideUse(call.world, reference, call.scope, (question) => call.decide(question));
    if (!use.allowed) throw refusal('access.denied', { say: use.message, errors: [{ pointer: `/spec${reference.pointer}`, message: use.message }], evidence: { reference, question: use.question } });
    entities.set(`${reference.kind} ${reference.reference}`, use.entry);
    return { ask: 'permission', ...use.question, world: 'before' };
  });
  return { ...alone, checks: [execute, ...uses], found: { pipeline, plan: result.plan, entities } };
}

export interface SealedRun {
  readonly execution: Execution;
  readonly run: ReadyRun;
}

export async function sealRun({ keyring }: StartServices, call: Call, run: ReadyRun): Promise<SealedRun> {
  const id = call.uid();
  const record = recordOf(call, id, run);
  return {
    run,
    execution: {
      accountId: call.account.id, id, pipelineUid: run.plan.pipeline.uid, pipelinePath: entryPath(run.pipeline), scope: call.scope,
      starterUid: call.caller.principal.uid, runGrant: await sealGrant(keyring, id, call.caller),
      state: initialState(run.plan, record), events: 0, createdAt: call.now, endedAt: null,
    },
  };
}

export async function writeRun(services: StartServices, tx: Tx, call: Call, sealed: SealedRun): Promise<Execution> {
  const { run } = sealed;
  const sequenceId = await nextSequenceId(tx, call.account.id, run.plan.pipeline.uid);
  const execution = { ...sealed.execution, state: { ...sealed.execution.state, record: { ...sealed.execution.state.record!, sequenceId } } };
  await insertExecution(tx, execution);
  const { state } = await post(services, tx, execution, { type: 'execution_started' }, call.now);
  const { pipeline } = run;
  call.note({
    action: 'execution.start',
    scope: call.scope,
    resource: { kind: 'execution', uid: execution.id, path: execution.pipelinePath },
    detail: { pipeline: pipeline.uid, version: pipeline.version, sha256: run.plan.pipeline.sha256, lastEditor: pipeline.updatedBy },
  });
  return { ...execution, state };
}

/** What is fixed about the run, from the world and the caller as verified; nothing the caller says of itself. */
function recordOf(call: Call, executionId: string, { entities }: ReadyRun): ExecutionRecord {
  const org = parentOf(call.scope)!;
  const { principal, workload } = call.caller;
  const person = call.world.get(principal.uid);
  return {
    formatVersion: 1,
    executionId,
    // Drawn when the run is written.
    sequenceId: 0,
    account: { identifier: call.account.identifier, uid: call.account.id, name: null },
    organization: named(call.world.find('organization', accountScope, org)!),
    project: named(call.world.find('project', org, call.scope.slice(org.length + 1))!),
    trigger: { type: 'MANUAL' },
    triggeredBy: {
      type: principal.type, id: principal.uid, name: person?.name ?? person?.identifier ?? principal.path,
      email: typeof person?.attributes['email'] === 'string' ? person.attributes['email'] : null,
    },
    origin: workload === undefined ? null : { issuer: workload.issuer, subject: workload.subject, sessionId: workload.sessionId },
    untrusted: false,
    limits: defaultLimits,
    environments: [...entities].filter(([, entry]) => entry.kind === 'environment').map(([key, entry]) => ({
      ...named(entry), reference: referenceIn(key), type: entry.attributes['type'] as EnvironmentEntity['type'],
    })),
    services: [...entities].filter(([, entry]) => entry.kind === 'service').map(([key, entry]) => ({ ...named(entry), reference: referenceIn(key) })),
  };
}

function referenceIn(key: string): string {
  return key.slice(key.indexOf(' ') + 1);
}

function named(entry: Entry): NamedEntity {
  return { identifier: entry.identifier, uid: entry.uid, name: entry.name };
}
