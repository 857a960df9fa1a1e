/**
 * Makes a step ready for one attempt: what it will use is decided with the run grant, now; secret values are opened and
 * tokens minted for this attempt alone. Nothing of it is stored.
 */
import { deliver, textOf, trusted, valueOf } from '#features/expressions/feature.ts';
import type { FunctionTable, Need, StepPayload } from '#features/pipelines/feature.ts';
import { executionFacts, namedBy, outputFunction, prepareStep, sealedOutput } from '#features/pipelines/feature.ts';
import type { Caller } from '#kernel/caller.ts';
import type { Decision, Question } from '#kernel/decision.ts';
import { assert, refusal } from '#kernel/errors.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { Entry, World } from '#kernel/world.ts';
import type { Act } from '#platform/call.ts';
import type { Tx } from '#platform/database/database.ts';
import type { Delivered, Delivery } from '#platform/delivery.ts';
import type { Execution } from './store.ts';
import { decideUse } from './uses.ts';

export interface StepServices {
  readonly functions: FunctionTable;
  readonly deliveries: readonly Delivery[];
  readonly decide: (world: World, caller: Caller, question: Question, now: Date) => Decision;
  readonly openOutput: (execution: Execution, ref: string) => Promise<string>;
}

export interface StepRequest {
  readonly execution: Execution;
  readonly stepUid: string;
  readonly attemptId: string;
  /** The run grant. */
  readonly caller: Caller;
  readonly world: World;
  readonly now: Date;
}

export interface PreparedStep {
  readonly payload: StepPayload;
  /** Uids of the secrets the environment will be made of. */
  readonly secrets: readonly string[];
  readonly untrusted: boolean;
}

/** What can be said before anything is opened; refuses as `deliverStep` would. */
export function prepare(services: StepServices, request: StepRequest): PreparedStep {
  const { execution, stepUid } = request;
  const payload = prepareStep({ state: execution.state, stepUid, functions: services.functions });
  const used = payload.needs.flatMap((need) => sourcesOf(services, request, need));
  return { payload, secrets: [...new Set([...payload.taint.secrets, ...used])], untrusted: payload.taint.untrusted };
}

/** Uids a need's value will derive from; refuses what the run may not use. */
function sourcesOf(services: StepServices, request: StepRequest, need: Need): string[] {
  if (need.function === outputFunction.name) return [...(outputOf(request, need)?.secrets ?? [])];
  return [entryOf(services, request, need).uid];
}

function entryOf(services: StepServices, request: StepRequest, need: Need): Entry {
  const named = namedBy(need);
  assert(named !== null, 'a delivery names nothing');
  const scope: ScopePath = request.execution.scope;
  const wanted = { kind: named.kind, reference: String(named.reference) };
  const use = decideUse(request.world, wanted, scope, (question) => services.decide(request.world, request.caller, question, request.now));
  if (!use.allowed) throw refusal('access.denied', { say: use.message, evidence: { wanted, question: use.question } });
  return use.entry;
}

function outputOf(request: StepRequest, need: Need) {
  return sealedOutput(request.execution.state, String(need.args[0]), String(need.args[1]));
}

export interface DeliveredStep {
  readonly script: string;
  readonly shell: 'Bash' | 'Sh';
  readonly environment: Readonly<Record<string, string>>;
  /** Values the masker must know, by name for people. */
  readonly masks: readonly { readonly name: string; readonly value: string }[];
  readonly payload: StepPayload;
  readonly acts: readonly Act[];
  readonly records: readonly ((tx: Tx) => Promise<void>)[];
}

export async function deliverStep(services: StepServices, request: StepRequest): Promise<DeliveredStep> {
  const { payload } = prepare(services, request);
  const masks = new Map<string, string>();
  const delivered: Delivered[] = [];

  const resolve = async (need: Need) => {
    if (need.function === outputFunction.name) {
      const output = outputOf(request, need);
      if (output === null) throw refusal('expression.unresolved', { say: `the output \`${String(need.args[1])}\` has no value` });
      const text = await services.openOutput(request.execution, output.ref);
      masks.set(`output ${String(need.args[0])}.${String(need.args[1])}`, text);
      return valueOf(text, { secrets: new Set(output.secrets.length > 0 ? output.secrets : [output.ref]), untrusted: output.untrusted });
    }
    const entry = entryOf(services, request, need);
    const { plan, record } = request.execution.state;
    assert(record !== null, 'an execution without a record');
    const result = await deliveryOf(services, need).deliver({
      account: { id: record.account.uid, identifier: record.account.identifier },
      entry, args: need.args.slice(1), facts: executionFacts({ plan, record }, { stepUid: request.stepUid }),
      attemptId: request.attemptId, now: request.now,
    });
    delivered.push(result);
    masks.set(`${entry.kind} ${entry.identifier}`, result.text);
    return valueOf(result.text, { ...trusted, secrets: new Set([entry.uid]) });
  };

  const environment: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [name, outcome] of Object.entries(payload.environment)) {
    const value = outcome.kind === 'value' ? outcome.value : await deliver(outcome.residual, { functions: services.functions, resolve });
    environment[name] = value.data === null ? '' : textOf(value.data);
    if (environment[name].includes('\0')) throw refusal('expression.invalid', { say: `the value of \`${name}\` has a zero byte, which an environment variable cannot hold` });
    // A value made of a secret (a URL with a password in it) is as secret as the secret.
    if (value.secrets.size > 0 && environment[name] !== '') masks.set(`variable ${name}`, environment[name]);
  }
  return {
    script: payload.script, shell: payload.shell, environment, payload,
    masks: [...masks].map(([name, value]) => ({ name, value })),
    acts: delivered.map((each) => each.act),
    records: delivered.flatMap((each) => (each.record === undefined ? [] : [each.record])),
  };
}

function deliveryOf(services: StepServices, need: Need): Delivery {
  const delivery = services.deliveries.find((each) => each.name === need.function);
  assert(delivery !== undefined, `nobody delivers ${need.function}`);
  return delivery;
}
