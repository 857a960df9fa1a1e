/** Pipelines and their runs for tests: started over HTTP, their steps done by a runner that the test plays at the desk. */
import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { allFunctions } from '#features/executions/feature.ts';
import type { ExecutionView } from '#features/executions/schema.ts';
import { getJwt } from '#features/mint/feature.ts';
import { replay } from '#features/pipelines/decide.ts';
import type { ExecutionEvent, ExecutionRecord, Plan, State } from '#features/pipelines/feature.ts';
import { initialState } from '#features/pipelines/feature.ts';
import type { AttemptRef, ClaimRequest, EndedResult, StepPayload, StepResult, Stream } from '#features/runners/schema.ts';
import { getValue } from '#features/secrets/feature.ts';
import type { RemoteAnswer } from '#platform/remote.ts';
import type { TestServer } from '#test/server.ts';
import { until } from '#test/until.ts';
import { scopeApi } from './principals.ts';

export type Manifest = Record<string, unknown>;

export const checkout = 'payments/checkout';

/** Two projects of one organization, one of another, and what runs in `payments/checkout` use. */
export const runWorld: readonly Manifest[] = [
  { kind: 'Organization', identifier: 'payments', spec: {} },
  { kind: 'Organization', identifier: 'platform', spec: {} },
  { kind: 'Project', scope: 'payments', identifier: 'checkout', spec: {} },
  { kind: 'Project', scope: 'payments', identifier: 'ledger', spec: {} },
  { kind: 'Project', scope: 'platform', identifier: 'edge', spec: {} },
  { kind: 'Connector', identifier: 'partner', name: 'The partner', spec: { type: 'jwt', audiences: ['https://partner.example', 'https://second.example'], usableFrom: [checkout] } },
  { kind: 'Environment', scope: checkout, identifier: 'prod', spec: { type: 'Production' } },
  { kind: 'Service', scope: checkout, identifier: 'web', name: 'Web shop', spec: {} },
];

export interface StepWish {
  readonly env?: Readonly<Record<string, string>>;
  readonly script?: string;
  readonly timeout?: string;
  readonly selectors?: readonly string[];
  readonly outputs?: readonly (string | { readonly name: string; readonly type?: 'String' | 'Secret' })[];
}

/** The step `identifier` of a pipeline. */
export function step(identifier: string, { env = {}, script = 'true', outputs = [], timeout, selectors }: StepWish = {}): Manifest {
  const outputVariables = outputs.map((output) => (typeof output === 'string' ? { name: output } : output));
  return { step: { identifier, type: 'Run', ...(timeout === undefined ? {} : { timeout }), ...(selectors === undefined ? {} : { delegateSelectors: selectors }), spec: { shell: 'Bash', command: script, envVariables: env, ...(outputs.length === 0 ? {} : { outputVariables }) } } };
}

export interface PipelineWish {
  readonly scope?: string;
  readonly tags?: Readonly<Record<string, string>>;
  /** Steps of the stage `build`. */
  readonly build: readonly Manifest[];
  /** Steps of the stage `deploy`, a deployment of `web` to `prod`. */
  readonly deploy?: readonly Manifest[];
}

export function pipeline(identifier: string, { scope = checkout, tags = {}, build, deploy }: PipelineWish): Manifest {
  const stages: Manifest[] = [{ stage: { identifier: 'build', type: 'CI', spec: { execution: { steps: build } } } }];
  if (deploy !== undefined) {
    stages.push({
      stage: {
        identifier: 'deploy', type: 'Deployment', failureStrategies: [{ onFailure: { errors: ['AllErrors'], action: { type: 'MarkAsFailure' } } }],
        spec: { service: { serviceRef: 'web' }, environment: { environmentRef: 'prod' }, execution: { steps: deploy } },
      },
    });
  }
  return { kind: 'Pipeline', scope, identifier, tags, spec: { pipeline: { stages } } };
}

export const noBytes = { bytes: 0, sha256: createHash('sha256').digest('hex') };
export const success: EndedResult = { exit: 'success', code: 0, signal: null, message: null, outputs: [], logs: { stdout: noBytes, stderr: noBytes, truncated: false } };

export interface Started {
  readonly scope: string;
  readonly id: string;
}

export interface StartWish {
  readonly scope?: string;
  readonly inputs?: Readonly<Record<string, unknown>>;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Runs on one server, and a runner of the account that takes whatever is next. */
export class Runs {
  readonly server: TestServer;
  readonly #runner: Pick<ClaimRequest, 'runnerId' | 'scope' | 'labels'> = { runnerId: randomUUID(), scope: '/', labels: [] };

  constructor(server: TestServer) {
    this.server = server;
  }

  now(): Date {
    return this.server.clock.now();
  }

  tryStart(name: string, { scope = checkout, inputs, token, headers = {} }: StartWish = {}): Promise<RemoteAnswer> {
    const body = { pipeline: name, ...(inputs === undefined ? {} : { inputs }) };
    return this.server.call({ method: 'POST', path: `${scopeApi(this.server, scope)}/executions`, body, headers, ...(token === undefined ? {} : { token }) });
  }

  async start(name: string, wish: StartWish = {}): Promise<Started> {
    const answer = await this.tryStart(name, wish);
    assert.equal(answer.status, 202, JSON.stringify(answer.body));
    return { scope: wish.scope ?? checkout, id: (answer.body as ExecutionView).id };
  }

  /** `below`: `/logs`, `/abort`. */
  call(run: Started, { below = '', token, method = below === '/abort' ? 'POST' : 'GET' }: { below?: string; token?: string; method?: string } = {}): Promise<RemoteAnswer> {
    return this.server.call({ method, path: `${scopeApi(this.server, run.scope)}/executions/${run.id}${below}`, ...(token === undefined ? {} : { token }) });
  }

  async show(run: Started): Promise<ExecutionView> {
    const answer = await this.call(run);
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    return answer.body as ExecutionView;
  }

  /** The step `stage.step`. */
  async step(run: Started, uid: string): Promise<ExecutionView['stages'][number]['steps'][number]> {
    const [stage, name] = uid.split('.');
    const found = (await this.show(run)).stages.find(({ identifier }) => identifier === stage)?.steps.find(({ identifier }) => identifier === name);
    assert(found !== undefined, `there is no step ${uid}`);
    return found;
  }

  /** Null when there is nothing to do. */
  async lease(on: TestServer = this.server, claimId: string = randomUUID()): Promise<AttemptRef | null> {
    const claimed = await on.app.desk.claim({ accountId: on.account.id, ...this.#runner, claimId, now: this.now() });
    return claimed === null ? null : { accountId: on.account.id, runnerId: this.#runner.runnerId, attemptId: claimed.attemptId, fence: claimed.fence };
  }

  payload(ref: AttemptRef): Promise<StepPayload> {
    return this.server.app.desk.payload(ref, this.now());
  }

  async begin(ref: AttemptRef): Promise<void> {
    await this.server.app.desk.started(ref, this.now());
  }

  async print(ref: AttemptRef, offset: number, bytes: string | Uint8Array, stream: Stream = 'stdout'): Promise<void> {
    const answer = await this.server.app.desk.appendLog(ref, { stream, offset, bytes: Buffer.from(bytes), maskSet: 1 }, this.now());
    assert.equal(answer.outcome, 'stored');
  }

  end(ref: AttemptRef, result: StepResult = success): Promise<void> {
    return this.server.app.desk.result(ref, result, this.now());
  }

  /** Takes the next step, does it and ends it; null when nothing is left. */
  async next(result: StepResult = success): Promise<StepPayload | null> {
    const ref = await this.lease();
    if (ref === null) return null;
    const payload = await this.payload(ref);
    await this.begin(ref);
    await this.end(ref, result);
    return payload;
  }

  /** The payload of the next step, which there is. */
  async nextPayload(result: StepResult = success): Promise<StepPayload> {
    const payload = await this.next(result);
    assert(payload !== null, 'there is no step to do');
    return payload;
  }

  /** Does whatever waits, so that the next test finds nothing. */
  async drain(): Promise<void> {
    while ((await this.next()) !== null);
  }

  /** Takes the next step, which its run may not have: its payload is refused. */
  async refusedPayload(): Promise<void> {
    const ref = await this.lease();
    assert(ref !== null, 'there is no step to do');
    await assert.rejects(this.payload(ref), { code: 'runner.stale_fence' });
  }

  /** The time goes on, and whose lease has run out is noticed. */
  async pass(ms: number): Promise<void> {
    this.server.clock.advance(ms);
    await until(async () => {
      const [row] = await this.server.sql<{ n: number }>(`select count(*)::int as n from attempt where status in ('leased', 'started') and lease_until < $1`, [this.now()]);
      return row!.n === 0;
    }, 'leases that have run out to be noticed');
  }

  /** The events are the truth: what they lead to is what is stored. */
  async assertReplays(): Promise<void> {
    const functions = allFunctions([getValue, getJwt]);
    const executions = await this.server.sql<{ id: string; plan: Plan; record: ExecutionRecord; state: Partial<State>; events: number }>('select id, plan, record, state, events from execution');
    assert.ok(executions.length > 0);
    for (const { id, plan, record, state, events: count } of executions) {
      const rows = await this.server.sql<{ seq: number; event: ExecutionEvent }>('select seq, event from execution_event where execution_id = $1 order by seq', [id]);
      assert.deepEqual(rows.map(({ seq }) => seq), Array.from({ length: count }, (_, i) => i + 1));
      const { plan: _plan, record: _record, ...reached } = replay(initialState(plan, record), rows.map(({ event }) => event), functions);
      assert.deepEqual(JSON.parse(JSON.stringify(reached)), state);
    }
  }
}

/** Header and claims of a token. */
export function claimsIn(token: string | undefined): Record<string, unknown> {
  assert(token !== undefined, 'there is no token');
  return JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as Record<string, unknown>;
}
