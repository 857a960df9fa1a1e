/** A server with a fake desk, and runners as processes that work for it. */
import type { AttemptDesk, EndedResult, StepPayload, StepResult } from '#features/runners/schema.ts';
import type { TestServer } from '#test/server.ts';
import { until } from '#test/until.ts';
import { tapped } from './desk-tap.ts';
import type { Hook } from './desk-tap.ts';
import { FakeDesk } from './fake-desk.ts';
import type { FakeStatus } from './fake-desk.ts';
import { RunnerProcess, runnerHome } from './runner-process.ts';
import type { RunnerHome } from './runner-process.ts';
import { makeRegistration, startRunnerServer } from './runner-server.ts';
import { StepGate } from './step-gate.ts';

/** Heartbeats every tenth of a second; the lease itself is as long as the desk says. */
const heartbeatMs = 100;
/** Processes start slowly on a busy machine. */
const patience = { patienceMs: 45_000 };

export class RunnerWorld {
  desk = new FakeDesk();
  /** What happens around the calls of runners. */
  hook: Hook = () => {};
  readonly gate: StepGate;
  readonly server: TestServer;
  readonly #runners: RunnerProcess[] = [];
  readonly #seen = new Set<string>();
  readonly #dead = new Set<string>();

  private constructor(server: TestServer, gate: StepGate) {
    this.server = server;
    this.gate = gate;
  }

  static async open(): Promise<RunnerWorld> {
    // The server asks for the desk at each call; the world is there before the first.
    const box: { world?: RunnerWorld } = {};
    const server = await startRunnerServer(() => box.world!.#deskOfNow(), { settings: { leaseMs: heartbeatMs * 3 } });
    return (box.world = new RunnerWorld(server, await StepGate.open()));
  }

  /** Another node on the same database, with the same desk. */
  async nodeBeside(): Promise<TestServer> {
    return startRunnerServer(() => this.#deskOfNow(), { beside: this.server, settings: { leaseMs: heartbeatMs * 3 } });
  }

  /** Begins anew with nobody to work and nothing to do. */
  async reset(options: { readonly leaseMs?: number } = {}): Promise<void> {
    this.hook = () => {};
    await Promise.all(this.#runners.splice(0).map((runner) => runner.kill()));
    this.desk = new FakeDesk(options);
    // What they asked for last may wait at the server a while longer than they live.
    for (const runnerId of this.#seen) this.#dead.add(runnerId);
  }

  #deskOfNow(): AttemptDesk {
    const desk = tapped(this.desk, () => this.hook);
    return {
      ...desk,
      claim: async (request) => {
        this.#seen.add(request.runnerId);
        return this.#dead.has(request.runnerId) ? null : desk.claim(request);
      },
    };
  }

  async home(): Promise<RunnerHome> {
    return runnerHome(await makeRegistration(this.server));
  }

  /** A runner that is ready; `url` when it does not reach the server directly. */
  async runner({ home, url = this.server.url, flags = [] }: { readonly home?: RunnerHome; readonly url?: string; readonly flags?: readonly string[] } = {}): Promise<RunnerProcess> {
    const runner = new RunnerProcess(url, home ?? (await this.home()), flags);
    this.#runners.push(runner);
    return runner.ready();
  }

  /** Offers a step of bash that knows `gate`. */
  offer(script: string, step: Partial<StepPayload> = {}): string {
    return this.desk.offer(this.server.account.id, { step: { shell: 'bash', ...step, script: this.gate.script + script } });
  }

  status(attemptId: string): FakeStatus {
    return this.desk.status(attemptId, new Date());
  }

  log(attemptId: string, stream: 'stdout' | 'stderr' = 'stdout'): string {
    return this.desk.log(attemptId, stream);
  }

  /** How an attempt ended, once it has. */
  async result(attemptId: string): Promise<StepResult> {
    return until(() => this.desk.attempt(attemptId).result, `a result of ${attemptId}`, patience);
  }

  async ended(attemptId: string): Promise<EndedResult> {
    const result = await this.result(attemptId);
    if (!('outputs' in result)) throw new Error(`the attempt is ${result.exit}: ${result.message}`);
    return result;
  }

  async until<T>(look: () => T | Promise<T>, what: string): Promise<Exclude<T, undefined | null | false>> {
    return until(look, what, patience);
  }
}
