/** The way of one request: match → limits → authenticate → parse → authorize → prepare → write → reply. */
import type { Caller } from '#kernel/caller.ts';
import type { Check, Decision, Question } from '#kernel/decision.ts';
import { Refusal, refusal } from '#kernel/errors.ts';
import type { ErrorCode, FieldError } from '#kernel/errors.ts';
import type { Possession, Presented } from '#kernel/manifest.ts';
import type { AnyOperation, InputOf, InputSchemas } from '#kernel/operation.ts';
import { Reply, Rerun } from '#kernel/operation.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { World } from '#kernel/world.ts';
import type { Act, Call } from '../call.ts';
import type { Clock, Randomness } from '../clock.ts';
import type { Database, Tx } from '../database/database.ts';
import type { Log } from '../log.ts';
import { describeError } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { IdempotencyKey } from './idempotency.ts';
import { callerHash, keepAnswer, requestHash, takeKey } from './idempotency.ts';
import type { Awaiting } from './in-flight.ts';
import { fieldErrors } from './problem.ts';
import { refusalRow, refuseCheck, refuseMissing, refuseQuestion } from './refuse.ts';
import type { RequestContent } from './request.ts';
import { RunningCall } from './running-call.ts';
import type { Turns } from './turns.ts';

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
  account(identifier: string, admitStranger: () => Promise<void>): Promise<Account | null>;
  /** The confirmed snapshot; refuses rather than hand out old facts. */
  world(accountId: string, minRevision: number | null): Promise<World>;
  authenticate(presented: Presented): Promise<Caller | null>;
  decide(world: World, caller: Caller, question: Question, now: Date): Decision;
  /** `used`: the permissions that it was allowed by. */
  authorize(input: AuthorizeInput): { allowed: true; used: readonly Question[] } | { allowed: false; failed: Check };
  /** What a caller was allowed is made use of: without it, it would have been refused. */
  used(caller: Caller, question: Question, now: Date): void;
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
  readonly turns: Turns;
}

/** One request, as the server read it off the wire. */
export interface RawRequest {
  readonly requestId: string;
  readonly accountIdentifier: string | null;
  readonly scope: ScopePath | null;
  /** Null = none; empty = one that cannot be accepted. */
  readonly token: string | null;
  readonly possession: Possession;
  readonly address: string;
  readonly awaiting: Awaiting;
  /** Made when it is first asked for: most requests log nothing. */
  readonly log: Log;
  /** Refuses an address that was refused too often. */
  readonly admitStranger: () => Promise<void>;
  /** Counts a refusal of somebody unknown. */
  readonly countStranger: () => Promise<void>;
  /** Takes from the caller's rate. */
  readonly admit: (caller: Caller) => Promise<void>;
  /** Reads parameters, query, body and conditions; refuses what cannot be read. */
  readonly read: () => Promise<RequestContent>;
}

const maxRuns = 8;
const nobody: Account = { id: '', identifier: '' };

export async function perform(services: PipelineServices, operation: AnyOperation, request: RawRequest): Promise<Reply> {
  const now = services.clock.now();
  const { account, caller } = await identify(services, operation, request, now);
  if (caller !== null) await request.admit(caller);
  const content = await request.read();
  const input = parseInput(operation.input, content);
  const { scope } = request;
  if (scope === null) throw refusal('access.not_found');
  try {
    return await performFor(services, operation, request, { account, caller, scope, now, content, minRevision: content.minRevision, input });
  } catch (error) {
    if (isAttempt(operation) && error instanceof Refusal && error.record.status === 401) await countRefusal(services, operation, request, account, error.code);
    throw error;
  }
}

/** Endpoints of OAuth count their own refusals, by issuer. */
function isAttempt({ access, method, dialect }: AnyOperation): boolean {
  return access.shape === 'open' && method === 'POST' && dialect !== 'oauth';
}

/** Who is calling, and in which account. Nothing is looked up for a stranger whose address was refused too often. */
async function identify(services: PipelineServices, operation: AnyOperation, request: RawRequest, now: Date): Promise<{ account: Account; caller: Caller | null }> {
  const { accountIdentifier, token, admitStranger } = request;
  const isOpen = operation.access.shape === 'open';
  if (isAttempt(operation) || (!isOpen && token === null)) await admitStranger();
  const account = accountIdentifier === null ? nobody : await services.gate.account(accountIdentifier, admitStranger);
  const mayBeKnown = account !== null && account !== nobody && token !== null;
  const { possession, address, requestId } = request;
  const presented = mayBeKnown ? { accountId: account.id, account: account.identifier, token, possession, now, address, requestId, admitStranger } : null;
  const caller = presented === null ? null : await services.gate.authenticate(presented).catch(async (error: unknown) => {
    // A proof that is not accepted; that a nonce is needed is a step of the protocol.
    if (error instanceof Refusal && error.record.status === 401 && error.code !== 'credential.use_dpop_nonce') await countRefusal(services, operation, request, account, error.code);
    throw error;
  });
  if (!isOpen && caller === null) {
    const code = token === null ? 'credential.missing' : 'credential.invalid';
    await countRefusal(services, operation, request, account, code);
    throw refusal(code);
  }
  if (caller === null && (account === null || token !== null)) await request.countStranger();
  if (account === null) throw refusal('access.not_found');
  return { account, caller };
}

async function countRefusal({ gate }: PipelineServices, operation: AnyOperation, request: RawRequest, account: Account | null, code: ErrorCode): Promise<void> {
  gate.countAnonymous({ accountId: account?.id ?? null, code, address: request.address, operation: operation.name });
  await request.countStranger();
}

/**
 * What was decided on facts that have moved on is decided again, a few times. Those who must, stand in line, or of many
 * writers at once most would never be the quickest.
 */
async function performFor(services: PipelineServices, operation: AnyOperation, request: RawRequest, fixed: Fixed): Promise<Reply> {
  let { minRevision } = fixed;
  let leave: (() => void) | undefined;
  try {
    for (let run = 1; ; run++) {
      const world = fixed.account === nobody ? null : await services.gate.world(fixed.account.id, minRevision);
      const call = new RunningCall(services, { ...fixed, request, world, ifMatch: fixed.content.ifMatch });
      try {
        return await decideAndAct(services, operation, call, fixed);
      } catch (error) {
        if (!(error instanceof Rerun)) throw error;
        if (run >= maxRuns) throw refusal('resource.conflict', { because: 'the access facts moved on every attempt' });
        minRevision = Math.max(minRevision ?? 0, error.revision);
        leave ??= await services.turns.take(fixed.account.id);
        call.signal.throwIfAborted();
      }
    }
  } finally {
    leave?.();
  }
}

function parseInput(schemas: InputSchemas, content: RequestContent): InputOf<InputSchemas> {
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
  const input = { params: read('params', content.params), query: read('query', content.query), body: read('body', content.body) };
  if (errors.length > 0) throw refusal('request.invalid', { errors });
  return input as InputOf<InputSchemas>;
}

interface Fixed {
  readonly account: Account;
  readonly caller: Caller | null;
  readonly scope: ScopePath;
  readonly now: Date;
  readonly content: RequestContent;
  /** What the caller asked for, or more after a run in vain. */
  readonly minRevision: number | null;
  readonly input: InputOf<InputSchemas>;
}

async function decideAndAct(services: PipelineServices, operation: AnyOperation, call: RunningCall, { input, content }: Fixed): Promise<Reply> {
  let prepared: unknown;
  try {
    const found = await authorize(services, operation, call, input);
    prepared = operation.prepare === undefined ? found : await operation.prepare(call, input, found);
  } catch (error) {
    await recordRefusal(services, operation, call, error);
    throw error;
  }
  if (operation.write === undefined || prepared instanceof Reply) return asReply(prepared, operation);
  // Who was told that it took too long, or has left, is not to find later that it was done after all.
  call.signal.throwIfAborted();
  const key = keyOf(operation, call, input, content.idempotencyKey);
  const answer = await services.database.transaction(async (tx) => {
    call.acts.length = 0;
    call.effects.length = 0;
    const earlier = key === null ? null : await takeKey(tx, key, call.now);
    if (earlier !== null) return earlier;
    const reply = asReply(await operation.write!(tx, call, input, prepared), operation);
    const acts = call.acts.length > 0 || operation.audit === null ? call.acts : [{}];
    await services.gate.record(tx, contextOf(operation, call), acts);
    if (key !== null) await keepAnswer(tx, key, reply);
    return reply;
  });
  await follow(call);
  return answer;
}

/** The change is in, whatever becomes of what follows it: an error would say that it is not. */
async function follow(call: RunningCall): Promise<void> {
  for (const effect of call.effects) {
    try {
      await effect();
    } catch (error) {
      call.log.error({ error: describeError(error) }, 'what follows a change failed; the change is in');
    }
  }
}

function keyOf(operation: AnyOperation, call: RunningCall, input: InputOf<InputSchemas>, key: string | null): IdempotencyKey | null {
  if (key === null || operation.idempotent !== true || call.callerIfAny === null) return null;
  const { principal, actor } = call.callerIfAny;
  const who = `${principal.type}:${principal.uid}${actor === undefined ? '' : ` by ${actor.type}:${actor.uid}`}`;
  return { accountId: call.account.id, caller: callerHash(`${operation.name} ${call.scope} ${who}`), key, requestHash: requestHash(input) };
}

function asReply(answer: unknown, operation: AnyOperation): Reply {
  if (answer instanceof Reply) return answer;
  return new Reply(answer, { status: operation.output === null ? 204 : 200 });
}

async function authorize(services: PipelineServices, operation: AnyOperation, call: RunningCall, input: InputOf<InputSchemas>): Promise<unknown> {
  const { access } = operation;
  switch (access.shape) {
    case 'open':
    case 'self':
      return undefined;
    case 'each': {
      const reaches = call.world.hasScope(call.scope) && services.gate.reaches(call.world, call.caller, call.scope, call.now);
      const permission = `${access.kind}.view`;
      if (!reaches) throw refuseMissing(call, permission, null);
      call.used({ permission, target: { kind: access.kind, scope: call.scope, identifier: null, tags: {}, attributes: {} } });
      return access.find?.(call, input);
    }
    case 'on': {
      const subject = await access.find(call, input);
      if (subject === null) throw refuseMissing(call, access.permission, identifierIn(input));
      const question = { permission: access.permission, target: subject.target };
      if (!call.decide(question).allowed) throw refuseQuestion(call, question);
      call.used(question);
      return subject.found;
    }
    case 'plan': {
      const plan = await access.plan(call, input);
      // An overlay remembers the revision it was laid over; decide nothing on a mixture.
      if (plan.after.revision !== call.revision || plan.before.revision !== call.revision) throw new Rerun(plan.before.revision);
      const verdict = services.gate.authorize({ caller: call.caller, before: plan.before, after: plan.after, checks: plan.checks, now: call.now });
      services.metrics.decided(verdict.allowed);
      if (!verdict.allowed) throw refuseCheck(call, verdict.failed);
      for (const question of verdict.used) call.used(question);
      return plan.found;
    }
  }
}

function identifierIn({ params }: InputOf<InputSchemas>): string | null {
  const named: unknown = (params as Readonly<Record<string, unknown>> | undefined)?.['identifier'];
  return typeof named === 'string' ? named : null;
}

/** Every refusal of a known caller is a row, in a transaction of its own so that nothing rolls it back. */
async function recordRefusal(services: PipelineServices, operation: AnyOperation, call: RunningCall, error: unknown): Promise<void> {
  const row = call.callerIfAny === null ? null : refusalRow(call, error);
  if (row === null) return;
  const act: Act = { action: operation.name, outcome: 'refused', ...row };
  await services.database.transaction((tx) => services.gate.record(tx, contextOf(operation, call), [act]));
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
