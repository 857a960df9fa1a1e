/** The way of one request: match → limits → authenticate → parse → authorize → prepare → write → reply. */
import type { Caller } from '#kernel/caller.ts';
import type { Check, Decision, Question } from '#kernel/decision.ts';
import { assert, refusal } from '#kernel/errors.ts';
import type { FieldError } from '#kernel/errors.ts';
import type { AnyOperation, InputOf, InputSchemas } from '#kernel/operation.ts';
import { Reply, Rerun } from '#kernel/operation.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { World } from '#kernel/world.ts';
import type { Act, Call } from '../call.ts';
import type { Clock, Randomness } from '../clock.ts';
import type { Database, Tx } from '../database/database.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { fieldErrors } from './problem.ts';

export interface Account {
  readonly id: string;
  readonly identifier: string;
}

export interface AuthorizeInput {
  readonly caller: Caller;
  readonly before: World;
  readonly after: World;
  readonly checks: readonly Check[];
  readonly now: Date;
}

/** What features decide and the platform only asks for; filled in by `app.ts`. */
export interface Gate {
  account(identifier: string): Promise<Account | null>;
  /** The confirmed snapshot; refuses rather than hand out old facts. */
  world(accountId: string, minRevision: number | null): Promise<World>;
  authenticate(request: { accountId: string; token: string; now: Date }): Promise<Caller | null>;
  decide(world: World, caller: Caller, question: Question, now: Date): Decision;
  authorize(input: AuthorizeInput): { allowed: true } | { allowed: false; failed: Check; decision?: Decision };
  /** Any live grant at, above or below the scope. */
  reaches(world: World, caller: Caller, scope: ScopePath, now: Date): boolean;
  record(tx: Tx, context: { accountId: string; now: Date; caller: Caller | null; address: string | null; requestId: string; action: string }, acts: readonly Act[]): Promise<void>;
  /** Counted per (issuer, code, address prefix) and written as bounded summaries. */
  countAnonymous(refused: { accountId: string | null; code: string; address: string; operation: string }): void;
}

export interface PipelineServices {
  readonly gate: Gate;
  readonly database: Database;
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly metrics: Metrics;
}

/** One request, as the server read it off the wire. */
export interface RawRequest {
  readonly requestId: string;
  readonly accountIdentifier: string | null;
  readonly scope: ScopePath | null;
  readonly token: string | null;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, unknown>>;
  readonly body: unknown;
  readonly address: string;
  readonly ifMatch: number | null;
  readonly minRevision: number | null;
  readonly signal: AbortSignal;
  readonly log: Log;
  /** Takes from the caller's rate. */
  readonly admit: (caller: Caller) => Promise<void>;
}

const maxReruns = 8;
const nobody: Account = { id: '', identifier: '' };

export async function perform(services: PipelineServices, operation: AnyOperation, request: RawRequest): Promise<Reply> {
  const now = services.clock.now();
  const account = request.accountIdentifier === null ? nobody : await services.gate.account(request.accountIdentifier);
  const caller = account === null || account === nobody ? null : await authenticate(services, request, account, now);
  if (operation.access.shape !== 'open' && caller === null) {
    services.gate.countAnonymous({ accountId: account?.id ?? null, code: 'credential', address: request.address, operation: operation.name });
    throw refusal(request.token === null ? 'credential.missing' : 'credential.invalid');
  }
  if (account === null) throw refusal('access.not_found');
  if (caller !== null) await request.admit(caller);
  const input = parseInput(operation.input, request);
  if (request.scope === null) throw refusal('access.not_found');
  let { minRevision } = request;
  for (let run = 1; ; run++) {
    const call = await createCall(services, request, { account, caller, scope: request.scope, now, minRevision });
    try {
      return await decideAndAct(services, operation, call, input);
    } catch (error) {
      if (!(error instanceof Rerun)) throw error;
      if (run >= maxReruns) throw refusal('resource.conflict', { because: 'the access facts moved on every attempt' });
      minRevision = Math.max(minRevision ?? 0, error.revision);
    }
  }
}

async function authenticate(services: PipelineServices, request: RawRequest, account: Account, now: Date): Promise<Caller | null> {
  if (request.token === null) return null;
  return services.gate.authenticate({ accountId: account.id, token: request.token, now });
}

function parseInput(schemas: InputSchemas, request: RawRequest): InputOf<InputSchemas> {
  const errors: FieldError[] = [];
  const read = (part: 'params' | 'query' | 'body', value: unknown): unknown => {
    const schema = schemas[part];
    if (schema === undefined) {
      if (part === 'query' && Object.keys(value as object).length > 0) {
        errors.push(...Object.keys(value as object).slice(0, 20).map((key) => ({ pointer: `/${key}`, message: 'unknown query parameter' })));
      } else if (part === 'body' && value !== undefined) errors.push({ pointer: '', message: 'no body is expected here' });
      return undefined;
    }
    const result = schema.safeParse(value);
    if (!result.success) errors.push(...fieldErrors(result.error, schema));
    return result.data;
  };
  const input = { params: read('params', request.params), query: read('query', request.query), body: read('body', request.body) };
  if (errors.length > 0) throw refusal('request.invalid', { errors });
  return input as InputOf<InputSchemas>;
}

interface Fixed {
  readonly account: Account;
  readonly caller: Caller | null;
  readonly scope: ScopePath;
  readonly now: Date;
  readonly minRevision: number | null;
}

interface OwnCall extends Call {
  readonly acts: Act[];
  readonly effects: (() => void | Promise<void>)[];
}

async function createCall(services: PipelineServices, request: RawRequest, fixed: Fixed): Promise<OwnCall> {
  const { account, caller, now } = fixed;
  const world = account === nobody ? null : await services.gate.world(account.id, fixed.minRevision);
  const acts: Act[] = [];
  const effects: (() => void | Promise<void>)[] = [];
  return {
    requestId: request.requestId,
    now,
    account,
    scope: fixed.scope,
    get world() {
      assert(world !== null, 'the operation has no account');
      return world;
    },
    get caller() {
      assert(caller !== null, 'the operation is open and has no caller');
      return caller;
    },
    callerIfAny: caller,
    log: request.log,
    signal: request.signal,
    address: request.address,
    ifMatch: request.ifMatch,
    acts,
    effects,
    uid: services.randomness.uid,
    random: services.randomness.bytes,
    decide(question) {
      assert(world !== null && caller !== null, 'there is nobody to decide about');
      const decision = services.gate.decide(world, caller, question, now);
      services.metrics.decisions.inc({ outcome: decision.allowed ? 'allow' : 'deny' });
      return decision;
    },
    note: (act) => void acts.push(act),
    afterCommit: (effect) => void effects.push(effect),
  };
}

async function decideAndAct(services: PipelineServices, operation: AnyOperation, call: OwnCall, input: InputOf<InputSchemas>): Promise<Reply> {
  let found: unknown;
  try {
    found = await authorize(services, operation, call, input);
  } catch (error) {
    await recordRefusal(services, operation, call, error);
    throw error;
  }
  const prepared: unknown = operation.prepare === undefined ? found : await operation.prepare(call, input, found);
  if (operation.write === undefined) return asReply(prepared, operation);
  const answer: unknown = await services.database.transaction(async (tx) => {
    call.acts.length = 0;
    call.effects.length = 0;
    const result: unknown = await operation.write!(tx, call, input, prepared);
    const acts = call.acts.length > 0 || operation.audit === null ? call.acts : [{}];
    await services.gate.record(tx, contextOf(operation, call), acts);
    return result;
  });
  for (const effect of call.effects) await effect();
  return asReply(answer, operation);
}

function asReply(answer: unknown, operation: AnyOperation): Reply {
  if (answer instanceof Reply) return answer;
  return new Reply(answer, { status: operation.output === null ? 204 : 200 });
}

async function authorize(services: PipelineServices, operation: AnyOperation, call: OwnCall, input: InputOf<InputSchemas>): Promise<unknown> {
  const { access } = operation;
  switch (access.shape) {
    case 'open':
    case 'self':
      return undefined;
    case 'each': {
      if (!call.world.hasScope(call.scope) || !services.gate.reaches(call.world, call.caller, call.scope, call.now)) throw refusal('access.not_found');
      return access.find?.(call, input);
    }
    case 'on': {
      const subject = await access.find(call, input);
      if (subject === null) throw refusal('access.not_found');
      if (call.decide({ permission: access.permission, target: subject.target }).allowed) return subject.found;
      throw refuseOn(call, { permission: access.permission, target: subject.target });
    }
    case 'plan': {
      const plan = await access.plan(call, input);
      // An overlay remembers the revision it was laid over; decide nothing on a mixture.
      if (plan.after.revision !== plan.before.revision) throw new Rerun(plan.before.revision);
      const verdict = services.gate.authorize({ caller: call.caller, before: plan.before, after: plan.after, checks: plan.checks, now: call.now });
      services.metrics.decisions.inc({ outcome: verdict.allowed ? 'allow' : 'deny' });
      if (verdict.allowed) return plan.found;
      throw refuseCheck(call, verdict.failed);
    }
  }
}

/** One who may not view it learns nothing: the same bytes as for a thing that is not there. */
function refuseOn(call: Call, question: Question): Error {
  const evidence = { permission: question.permission, kind: question.target.kind, scope: question.target.scope, identifier: question.target.identifier };
  const view = `${question.target.kind}.view`;
  const visible = question.permission !== view && call.decide({ permission: view, target: question.target }).allowed;
  return visible
    ? refusal('access.denied', { say: `you need \`${question.permission}\` here`, evidence })
    : refusal('access.not_found', { because: `lacks ${question.permission}`, evidence });
}

function refuseCheck(call: Call, failed: Check): Error {
  const place = failed.field === undefined ? [] : [{ document: failed.field.document, pointer: failed.field.pointer, message: 'refused here' }];
  if (failed.ask === 'administer') return refusal('access.administer', { errors: place, evidence: { kind: failed.kind } });
  if (failed.ask === 'holds') return refusal('access.escalation', { say: failed.why, errors: place, evidence: failed.given });
  const error = refuseOn(call, failed);
  return 'code' in error && error.code === 'access.denied'
    ? refusal('access.denied', { say: `you need \`${failed.permission}\` here`, errors: place, evidence: { permission: failed.permission } })
    : error;
}

const audited = new Set(['access.not_found', 'access.denied', 'access.escalation', 'access.administer', 'access.last_admin']);

/** Every refusal of a known caller is a row, in a transaction of its own so that nothing rolls it back. */
async function recordRefusal(services: PipelineServices, operation: AnyOperation, call: OwnCall, error: unknown): Promise<void> {
  if (!(error instanceof Error) || !('code' in error) || !audited.has(String(error.code)) || call.callerIfAny === null) return;
  const evidence = 'evidence' in error ? error.evidence : undefined;
  if (error.code === 'access.not_found' && evidence === undefined) return;
  await services.database.transaction((tx) =>
    services.gate.record(tx, contextOf(operation, call), [{ action: operation.name, outcome: 'refused', scope: call.scope, detail: { code: error.code, evidence } }]),
  );
}

function contextOf(operation: AnyOperation, call: Call) {
  return {
    accountId: call.account.id,
    now: call.now,
    caller: call.callerIfAny,
    address: call.address,
    requestId: call.requestId,
    action: operation.audit ?? operation.name,
  };
}
