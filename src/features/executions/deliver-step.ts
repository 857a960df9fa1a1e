/**
 * Makes a step ready for one attempt: what it will use is decided with the run grant, now; secret values are opened and
 * tokens minted for this attempt alone. Nothing of it is stored.
 */
import { deliver, textOf, trusted, valueOf } from '#features/expressions/feature.ts';
import type { Value } from '#features/expressions/schema.ts';
import { maskability } from '#features/masking/schema.ts';
import { protocolLimits } from '#features/runners/schema.ts';
import type { FunctionTable, Need, StepPayload } from '#features/pipelines/feature.ts';
import { executionFacts, namedBy, outputFunction, prepareStep, refuseInterpreted, sealedOutput, workOfMany } from '#features/pipelines/feature.ts';
import type { Caller } from '#kernel/caller.ts';
import type { Decision, Question } from '#kernel/decision.ts';
import { assert, refusal } from '#kernel/errors.ts';
import type { ExecutionFacts } from '#kernel/execution-facts.ts';
import type { Entry, World } from '#kernel/world.ts';
import { entryPath } from '#kernel/world.ts';
import type { Act } from '#platform/call.ts';
import type { Database, Tx } from '#platform/database/database.ts';
import type { Delivered, Delivery, IdentityGiver } from '#platform/delivery.ts';
import type { Keyring } from '#platform/keyring.ts';
import type { DeliveredIdentities, IdentityStep, UsedIdentity } from './deliver-identities.ts';
import { deliverIdentities, identityUses } from './deliver-identities.ts';
import { openOutput } from './outputs.ts';
import type { Execution } from './store.ts';
import type { Use, Using } from './uses.ts';
import { useAgain, useOf } from './uses.ts';

export interface StepServices {
  readonly database: Database;
  readonly keyring: Keyring;
  readonly functions: FunctionTable;
  readonly deliveries: readonly Delivery[];
  readonly identities: IdentityGiver;
  readonly decide: (world: World, caller: Caller, question: Question, now: Date) => Decision;
  /** Remembers that the starter made use of a permission. */
  readonly used: (caller: Caller, question: Question, now: Date) => void;
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
  /** By what the step is allowed what it uses. */
  readonly uses: readonly Question[];
  readonly identities: readonly UsedIdentity[];
}

/** What can be said before anything is opened; refuses as `deliverStep` would. */
export function prepare(services: StepServices, request: StepRequest): PreparedStep {
  const { execution, stepUid } = request;
  const using = usingOf(services, request);
  if (!request.world.hasScope(execution.scope)) throw refusal('access.denied', { say: 'the project of the run is gone' });
  const { environment, service } = factsOf(request);
  const uses: Question[] = [];
  if (environment !== null) uses.push(useAgain(using, { kind: 'environment', ...environment }).question);
  if (service !== null) uses.push(useAgain(using, { kind: 'service', ...service }).question);
  const payload = prepareStep({ state: execution.state, stepUid, functions: services.functions });
  if (payload.needs.length > protocolLimits.deliveries) {
    throw refusal('expression.limit', { say: `the step asks for ${payload.needs.length} secrets, tokens and secret outputs; at most ${protocolLimits.deliveries} can be delivered to one` });
  }
  const sources = payload.needs.map((need) => sourceOf(using, request, need));
  const identities = identityUses(using, request);
  uses.push(...sources.flatMap((source) => source.uses), ...identities.map(({ question }) => question));
  const secrets = new Set([...payload.taint.secrets, ...sources.flatMap((source) => source.secrets), ...identities.map(({ entry }) => entry.uid)]);
  if (secrets.size > maxTaint) throw refusal('expression.limit', { say: `what the step is given derives from more than ${maxTaint} secrets` });
  return { payload, secrets: [...secrets], untrusted: payload.taint.untrusted || sources.some((source) => source.untrusted), uses, identities };
}

/** As many as an event can name. */
const maxTaint = 1_000;

export function usingOf(services: Pick<StepServices, 'decide'>, { world, execution, caller, now }: Pick<StepRequest, 'world' | 'execution' | 'caller' | 'now'>): Using {
  return { world, scope: execution.scope, decide: (question) => services.decide(world, caller, question, now) };
}

export function factsOf({ execution, stepUid }: Pick<StepRequest, 'execution' | 'stepUid'>): ExecutionFacts {
  const { plan, record } = execution.state;
  assert(record !== null, 'an execution without a record');
  return executionFacts({ plan, record }, { stepUid });
}

/** What a need's value will derive from; refuses what the run may not use. */
function sourceOf(using: Using, request: StepRequest, need: Need): Omit<PreparedStep, 'payload' | 'identities'> {
  if (need.function === outputFunction.name) {
    const { secrets, untrusted } = outputOf(request, need) ?? { secrets: [], untrusted: false };
    return { secrets, untrusted, uses: [] };
  }
  const { entry, question } = useNamed(using, need);
  return { secrets: [entry.uid], untrusted: false, uses: [question] };
}

function useNamed(using: Using, need: Need): Use {
  const named = namedBy(need);
  assert(named !== null, 'a delivery names nothing');
  return useOf(using, { kind: named.kind, reference: String(named.reference) });
}

function outputOf({ execution }: StepRequest, need: Need) {
  return sealedOutput(execution.state, String(need.args[0]), String(need.args[1]));
}

const maxMaskName = 512;

export interface DeliveredStep {
  readonly payload: StepPayload;
  readonly environment: Readonly<Record<string, string>>;
  readonly identities: DeliveredIdentities | null;
  /** Values the masker must know, each once, by name for people. */
  readonly masks: readonly { readonly name: string; readonly value: string }[];
  readonly acts: readonly Act[];
  readonly records: readonly ((tx: Tx) => Promise<void>)[];
  readonly uses: readonly Question[];
}

export async function deliverStep(services: StepServices, request: StepRequest): Promise<DeliveredStep> {
  const { payload, uses, identities: used } = prepare(services, request);
  /** Names by value: two may have the same name, and none of their values may be forgotten for it. */
  const masks = new Map<string, string>();
  const mask = (name: string, value: string): void => {
    if (value !== '' && !masks.has(value)) masks.set(value, name.slice(0, maxMaskName));
  };
  const delivered: Delivered[] = [];
  /** The same call twice in a step is one token. */
  const answers = new Map<string, Value>();

  const resolve = async (need: Need): Promise<Value> => {
    const key = JSON.stringify([need.function, need.args]);
    let answer = answers.get(key);
    if (answer !== undefined) return answer;
    if (need.function === outputFunction.name) {
      answer = await outputValue(services, request, need);
      mask(`output ${String(need.args[0])}.${String(need.args[1])}`, textOf(answer.data));
    } else {
      const { entry } = useNamed(usingOf(services, request), need);
      const result = await deliverEntry(services, request, { need, entry });
      delivered.push(result);
      for (const text of typeof result.value === 'string' ? [result.value] : Object.values(result.value)) mask(`${entry.kind} ${entryPath(entry)}`, text);
      answer = valueOf(result.value, { ...trusted, secrets: new Set([entry.uid]) });
    }
    answers.set(key, answer);
    return answer;
  };

  const environment: Record<string, string> = Object.create(null) as Record<string, string>;
  const work = workOfMany();
  let bytes = 0;
  for (const [name, outcome] of Object.entries(payload.environment)) {
    const value = outcome.kind === 'value' ? outcome.value : await deliver(outcome.residual, { functions: services.functions, resolve, work });
    refuseInterpreted(name, value);
    const text = textInEnvironment(name, value);
    environment[name] = text;
    bytes += Buffer.byteLength(text);
    if (bytes > protocolLimits.environmentBytes) throw refusal('expression.limit', { say: `the environment of the step is larger than ${protocolLimits.environmentBytes / 1024} KiB` });
    // A value made of a secret (a URL with a password in it) is as secret as the secret.
    if (value.secrets.size > 0) mask(`variable ${name}`, text);
  }
  const step: IdentityStep = { ...request, facts: factsOf(request) };
  const { identities, made, masks: ofIdentities } = await deliverIdentities(services.identities, step, used, Object.keys(environment));
  for (const { name, value } of ofIdentities) mask(name, value);
  const all = [...delivered, ...made];
  return {
    payload, environment, identities,
    masks: [...masks].map(([value, name]) => ({ name, value })),
    acts: all.map((each) => each.act),
    records: all.flatMap((each) => (each.record === undefined ? [] : [each.record])),
    uses,
  };
}

async function outputValue(services: StepServices, request: StepRequest, need: Need): Promise<Value> {
  const output = outputOf(request, need);
  if (output === null) throw refusal('expression.unresolved', { say: `the output \`${String(need.args[1])}\` has no value` });
  const { execution } = request;
  const text = await openOutput(services, { accountId: execution.accountId, executionId: execution.id }, output.ref);
  return valueOf(text, { secrets: new Set([...output.secrets, output.ref]), untrusted: output.untrusted });
}

async function deliverEntry(services: StepServices, request: StepRequest, { need, entry }: { need: Need; entry: Entry }): Promise<Delivered> {
  const delivery = services.deliveries.find((each) => each.name === need.function);
  assert(delivery !== undefined, `nobody delivers ${need.function}`);
  const facts = factsOf(request);
  const { uid: id, identifier } = facts.account;
  return delivery.deliver({ account: { id, identifier }, entry, args: need.args.slice(1), facts, attemptId: request.attemptId, now: request.now });
}

function textInEnvironment(name: string, { data, secrets }: Value): string {
  const text = data === null ? '' : textOf(data);
  if (text.includes('\0')) throw refusal('expression.invalid', { say: `the value of \`${name}\` has a zero byte, which an environment variable cannot hold` });
  if (Buffer.byteLength(`${name}=${text}`) > protocolLimits.variableBytes) throw refusal('expression.limit', { say: `the value of \`${name}\` is too long: a variable has at most ${protocolLimits.variableBytes} bytes with its name` });
  const verdict = secrets.size === 0 ? 'maskable' : maskability(text);
  // No runner takes what its masker cannot; a short one is told in the log by name.
  if (verdict !== 'maskable' && verdict.reason === 'too large') throw refusal('expression.limit', { say: `the value of \`${name}\` is made of a secret: ${verdict.problem}` });
  return text;
}
