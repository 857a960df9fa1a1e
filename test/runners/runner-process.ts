/** The runner as people start it: a process of its own that can be killed at any moment. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { atEnd } from '#test/endings.ts';
import type { Registration } from './runner-server.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const main = join(repository, 'src/main.ts');
/** As `bin/sallyport` sets it, and nothing else. */
const environment = { NODE_COMPILE_CACHE: join(repository, 'node_modules/.cache/compile') };

export interface RunnerHome {
  readonly work: string;
  readonly registrationFile: string;
}

/** A work directory and a registration file; both go when the tests end. */
export function runnerHome(registration: Registration): RunnerHome {
  const root = mkdtempSync(join(tmpdir(), 'sp-runner-'));
  atEnd(async () => rmSync(root, { recursive: true, force: true }));
  const registrationFile = join(root, 'registration.json');
  writeFileSync(registrationFile, JSON.stringify(registration), { mode: 0o600 });
  return { work: join(root, 'work'), registrationFile };
}

export class RunnerProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  readonly #lines: string[] = [];
  #said = '';
  #look: () => void = () => {};

  constructor(url: string, { work, registrationFile }: RunnerHome, flags: readonly string[] = []) {
    const args = [main, 'runner', '--url', url, '--registration-file', registrationFile, '--work', work, '--cancel-grace', '1', '--retry-max', '1', '--log-level', 'debug', ...flags];
    this.#child = spawn(process.execPath, args, { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#ended = once(this.#child, 'exit').then(([code, signal]) => ({ code: code as number | null, signal: signal as string | null }));
    this.#child.stdout!.on('data', (bytes: Buffer) => {
      this.#lines.push(...bytes.toString('utf8').split('\n').filter(Boolean));
      this.#look();
    });
    this.#child.stderr!.on('data', (bytes: Buffer) => (this.#said += bytes.toString('utf8')));
    void this.#ended.then(() => this.#look());
    atEnd(() => this.kill());
  }

  /** All it wrote to standard error: its log. */
  get said(): string {
    return this.#said;
  }

  /** Resolves when it can work; fails when it ends before. */
  async ready(): Promise<this> {
    while (!this.#lines.some((line) => line.startsWith('sallyport runner ready '))) {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) throw new Error(`the runner ended before it was ready:\n${this.#said}`);
      await new Promise<void>((resolve) => (this.#look = resolve));
    }
    return this;
  }

  /** kill -9. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  terminate(): void {
    this.#child.kill('SIGTERM');
  }

  async ended(): Promise<{ readonly code: number | null; readonly signal: string | null }> {
    return this.#ended;
  }
}
