/**
 * A server, its database and a runner that can be killed and started again on the same data, and a witness outside of all
 * three to which every step says when it begins and when it is done.
 */
import { once } from 'node:events';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RemoteAnswer, RemoteRequest } from '#platform/remote.ts';
import { callRemote } from '#platform/remote.ts';
import { atEnd } from './endings.ts';
import { RunnerProcess, runnerHome } from './runners/runner-process.ts';
import type { RunnerHome } from './runners/runner-process.ts';
import type { Registration } from './runners/runner-server.ts';
import { databasePid, setUpAdmin, startServe } from './serve-process.ts';
import type { ServeProcess } from './serve-process.ts';
import { until } from './until.ts';

/** Starting three processes and recovering a database takes its time on a busy machine. */
export const patience = { patienceMs: 50_000 };

export const victims = ['server', 'runner', 'database'] as const;
export type Victim = (typeof victims)[number];

/** A word of a step: which run, which step, what it says. */
export interface Word {
  readonly execution: string;
  readonly step: string;
  readonly says: 'begin' | 'end';
}

/** Takes down every word and lets its step go on. Never killed, so what it has heard has happened. */
export class Witness {
  readonly words: Word[] = [];
  readonly port: number;
  #look = new Set<() => void>();

  private constructor(port: number) {
    this.port = port;
  }

  static async open(): Promise<Witness> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const witness = new Witness((server.address() as AddressInfo).port);
    server.on('connection', (socket) => witness.#listen(socket));
    atEnd(async () => void server.close());
    server.unref();
    return witness;
  }

  /** Resolves when it has heard so many words. */
  async heard(count: number): Promise<void> {
    while (this.words.length < count) await new Promise<void>((resolve) => this.#look.add(resolve));
  }

  /** A shell function for scripts of bash: `say begin`, with RUN and STEP in the environment. */
  get script(): string {
    return `exec 9<>/dev/tcp/127.0.0.1/${this.port}\nsay() { echo "$RUN $STEP $1" >&9; read -r word <&9; }\n`;
  }

  #listen(socket: Socket): void {
    socket.unref().on('error', () => {});
    let text = '';
    socket.on('data', (bytes) => {
      const lines = (text + bytes.toString('utf8')).split('\n');
      text = lines.pop()!;
      for (const line of lines) {
        const [execution = '', step = '', says = ''] = line.split(' ');
        this.words.push({ execution, step, says: says as Word['says'] });
        socket.write('go\n');
      }
      for (const look of this.#look) look();
      this.#look = new Set();
    });
  }
}

export class CrashWorld {
  readonly witness: Witness;
  readonly #data: string;
  #server!: ServeProcess;
  #runner!: RunnerProcess;
  #home!: RunnerHome;
  #token = '';
  #port = 0;

  private constructor(witness: Witness, data: string) {
    this.witness = witness;
    this.#data = data;
  }

  static async open(): Promise<CrashWorld> {
    const root = realpathSync(mkdtempSync(join(tmpdir(), 'sallyport-crash-')));
    atEnd(async () => rmSync(root, { recursive: true, force: true }));
    const world = new CrashWorld(await Witness.open(), join(root, 'data'));
    atEnd(() => world.#server.stop());
    await world.#startServer();
    world.#token = await setUpAdmin(world.#server, world.#data);
    const registration = await world.ask({ method: 'POST', path: '/runner-registrations', body: {} });
    world.#home = runnerHome(registration.body as Registration);
    await world.#startRunner();
    return world;
  }

  /** Asks as the administrator; fails while there is no server. */
  ask(request: RemoteRequest): Promise<RemoteAnswer> {
    return callRemote({ url: this.#server.url, token: this.#token }, { ...request, path: `/api/v1/accounts/default${request.path}` });
  }

  /** kill -9, and everything that ended with it is started again. */
  async killAndRestart(victim: Victim): Promise<void> {
    if (victim === 'runner') {
      await this.#runner.kill();
      return this.#startRunner();
    }
    if (victim === 'server') await this.#server.kill();
    else {
      process.kill(databasePid(this.#data)!, 'SIGKILL');
      await this.#server.exit;
    }
    return this.#startServer();
  }

  /** What the processes have logged since they started, for a drill that fails. */
  get logs(): string {
    return `server:\n${this.#server.log().slice(-8_000)}\nrunner:\n${this.#runner.said.slice(-8_000)}`;
  }

  /** On the port of before. As a supervisor would, it tries again while the old database is still on its way out. */
  async #startServer(): Promise<void> {
    const flags = ['--port', String(this.#port), '--no-runner', '--lease-ms', '3000', '--log-level', 'warn'];
    this.#server = await until(() => startServe({ data: this.#data, flags }).catch((error: unknown) => {
      if (String(error).includes('host.in_use')) return null;
      throw error;
    }), 'a server on the old data', patience);
    this.#port = Number(new URL(this.#server.url).port);
  }

  async #startRunner(): Promise<void> {
    this.#runner = await new RunnerProcess(this.#server.url, this.#home, ['--unsafe', '--concurrency', '4']).ready();
  }
}
