/** Starts a run: compiles the plan, asks for everything it names, fixes its record, and posts its first event. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { compilePlan, initialState } from '#features/pipelines/feature.ts';
import type { Plan as PipelinePlan } from '#features/pipelines/feature.ts';
import type { ResourceServices, StoredResource } from '#features/resources/feature.ts';
import { findResource, targetOf } from '#features/resources/feature.ts';
import { canonicalJson } from '#kernel/canonical.ts';
import type { Check, Question } from '#kernel/decision.ts';
import { refusal } from '#kernel/errors.ts';
import type { AnyOperation, Plan } from '#kernel/operation.ts';
import { Reply, Rerun } from '#kernel/operation.ts';
import type { Entry } from '#kernel/world.ts';
import { entryPath } from '#kernel/world.ts';
import type { Call } from '#platform/call.ts';
import { operation } from '#platform/call.ts';
import type { Tx } from '#platform/database/database.ts';
import { refuseMissing } from '#platform/http/refuse.ts';
import { attemptsOf } from './attempts.ts';
import type { EngineServices } from './engine.ts';
import { postSurely } from './engine.ts';
import { sealGrant } from './grant.ts';
import { recordOf } from './record.ts';
import { executionView } from './schema.ts';
import type { Execution } from './store.ts';
import { holdPipeline, insertExecution, nextSequenceId } from './store.ts';
import type { Using } from './uses.ts';
import { useOf } from './uses.ts';
import { viewOf } from './view.ts';

export type StartServices = ResourceServices & EngineServices;

const startBody = z.strictObject({
  pipeline: z.string().max(128).describe('identifier of the pipeline in this project'),
  inputs: z.record(z.string().max(256), z.union([z.string().max(65_536), z.number(), z.boolean()])).default({}),
});

/** A run that nobody has refused so far: all of it is of one revision of the account. */
interface ReadyRun {
  readonly pipeline: StoredResource;
  readonly plan: PipelinePlan;
  readonly execution: Omit<Execution, 'runGrant'>;
}

export function startOperation(services: StartServices): AnyOperation {
  return operation({
    name: 'execution.start',
    summary: 'Starts a pipeline; the run may do what its starter may do, decided anew at each use',
    method: 'POST',
    path: '{scope}/executions',
    levels: ['project'],
    input: { body: startBody },
    output: executionView,
    access: { shape: 'plan', plan: (call: Call, { body }: { body: z.infer<typeof startBody> }) => planRun(services, call, body) },
    audit: null,
    dialect: 'api',
    idempotent: true,
    prepare: async (call, _input, run: ReadyRun) => ({ run, runGrant: await sealGrant(services, run.execution.id, call.caller) }),
    write: async (tx, call, _input, { run, runGrant }) => {
      const execution = await writeRun(services, tx, call, { run, runGrant });
      return new Reply(viewOf(execution, await attemptsOf(tx, { accountId: execution.accountId, executionId: execution.id })), { status: 202 });
    },
  });
}

async function planRun(services: StartServices, call: Call, body: z.infer<typeof startBody>): Promise<Plan<ReadyRun>> {
  const entry = call.world.find('pipeline', call.scope, body.pipeline);
  if (entry === undefined) throw refuseMissing(call, 'pipeline.execute', body.pipeline);
  const execute = { permission: 'pipeline.execute', target: targetOf(entry) };
  const ask = (question: Question): Check => ({ ask: 'permission', ...question, world: 'before' });
  // Faults of the pipeline are told only to those who may run it.
  if (!call.decide(execute).allowed) return { checks: [ask(execute)], before: call.world, after: call.world.overlay([]), found: null as never };
  const pipeline = await findResource(services, call.account.id, entry.uid);
  // What was decided about is what is run, with its tags.
  if (pipeline?.version !== entry.version) throw new Rerun(call.revision + 1);
  const plan = planOf(services, pipeline, body.inputs);
  const using: Using = { world: call.world, scope: call.scope, decide: (question) => call.decide(question) };
  const uses = plan.references.map((reference) => ({ reference, ...useOf(using, reference) }));
  const found = { pipeline, plan, execution: executionOf(call, plan, uses) };
  return { checks: [execute, ...uses.map(({ question }) => question)].map(ask), before: call.world, after: call.world.overlay([]), found };
}

function planOf({ functions }: StartServices, pipeline: StoredResource, inputs: Readonly<Record<string, unknown>>): PipelinePlan {
  const sha256 = createHash('sha256').update(canonicalJson(pipeline.spec)).digest('hex');
  const { scope, identifier, name, spec: document, uid, version } = pipeline;
  const result = compilePlan({ document, scope, identifier, name, revision: { uid, version, sha256 }, inputs, functions });
  if ('plan' in result) return result.plan;
  throw refusal(result.code, { errors: result.errors });
}

function executionOf(call: Call, plan: PipelinePlan, uses: readonly { readonly reference: { readonly reference: string }; readonly entry: Entry }[]): ReadyRun['execution'] {
  const id = call.uid();
  const record = recordOf(call, id, uses.map(({ reference, entry }) => ({ reference: reference.reference, entry })));
  const state = initialState(plan, record);
  return {
    accountId: call.account.id, id, pipelineUid: plan.pipeline.uid, pipelinePath: entryPath(plan.pipeline), scope: call.scope,
    starterUid: call.caller.principal.uid, status: state.status, state, events: 0, createdAt: call.now, endedAt: null,
  };
}

async function writeRun(services: StartServices, tx: Tx, call: Call, { run, runGrant }: { run: ReadyRun; runGrant: Buffer }): Promise<Execution> {
  const { pipeline, plan } = run;
  const held = await holdPipeline(tx, call.account.id, pipeline.uid);
  if (held.version !== pipeline.version) throw new Rerun(held.revision);
  const sequenceId = await nextSequenceId(tx, call.account.id, pipeline.uid);
  const { state } = run.execution;
  const fresh: Execution = { ...run.execution, runGrant, state: { ...state, record: { ...state.record!, sequenceId } } };
  await insertExecution(tx, fresh);
  const execution = await postSurely(services, tx, fresh, { type: 'execution_started' }, call.now);
  call.note({
    action: 'execution.start',
    scope: call.scope,
    resource: { kind: 'execution', uid: execution.id, path: execution.pipelinePath },
    detail: { pipeline: pipeline.uid, version: pipeline.version, sha256: plan.pipeline.sha256, lastEditor: pipeline.updatedBy },
  });
  return execution;
}
