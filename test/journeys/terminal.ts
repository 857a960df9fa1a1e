/** Somebody at a terminal: one shell on a pseudo terminal of `script` (util-linux), given a command at a time. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { until } from '#test/until.ts';

export interface Ended {
  readonly code: number;
  /** What stood on the terminal, without what was typed. */
  readonly output: string;
}

export interface TerminalOptions {
  readonly directory: string;
  readonly environment: NodeJS.ProcessEnv;
}

/** A command of the README takes a second or two on an idle machine. */
const patience = { patienceMs: 50_000 };
const leavePatienceMs = 5_000;
/** The prompt tells the exit code of what ended; two lines no command prints. */
const promptOf = '\\n@ended $?@\\n';
const prompt = /\n@ended (\d+)@\n$/;

export class ShellTerminal {
  readonly #child: ChildProcess;
  readonly #exit: Promise<unknown>;
  #output = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#exit = once(child, 'exit');
    child.stdout!.setEncoding('utf8').on('data', (text: string) => (this.#output += text.replaceAll('\r', '')));
    child.stdin!.on('error', () => undefined); // of a shell that is gone; whoever waits for its prompt says so
  }

  static async open({ directory, environment }: TerminalOptions): Promise<ShellTerminal> {
    // Commands are not repeated to us, and lines that are continued have no prompt of their own.
    const shell = `stty -echo; PS2= PS1='${promptOf}' exec bash --noprofile --norc --noediting -i`;
    const args = ['--quiet', '--flush', '--return', '--command', shell, '/dev/null'];
    const child = spawn('script', args, { cwd: directory, env: { ...environment, SHELL: '/bin/sh', TERM: 'dumb' }, stdio: ['pipe', 'pipe', 'inherit'] });
    const terminal = new ShellTerminal(child);
    await terminal.#ended('the shell');
    return terminal;
  }

  /** Types a command and waits for its end; answers to questions it asks are typed when they are asked. */
  async run(command: string, answers: readonly (readonly [question: string, answer: string])[] = []): Promise<Ended> {
    this.#output = '';
    this.#child.stdin!.write(`${command}\n`);
    for (const [question, answer] of answers) {
      await until(() => this.#output.includes(question) || prompt.test(this.#output), `the question \`${question}\``, patience);
      this.#child.stdin!.write(`${answer}\n`);
    }
    return this.#ended(command);
  }

  async #ended(command: string): Promise<Ended> {
    const [all, code] = await until(() => prompt.exec(this.#output), `the end of \`${command}\`, which said:\n${this.#output}`, patience);
    return { code: Number(code), output: this.#output.slice(0, -all.length) };
  }

  /** Leaves the shell; one that does not listen any more is left all the same. */
  async close(): Promise<void> {
    this.#child.stdin!.write('exit\n');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), leavePatienceMs);
    await this.#exit;
    clearTimeout(timer);
  }
}

/** Which of these programs are not on the path. */
export function absentPrograms(names: readonly string[], path = process.env['PATH'] ?? ''): string[] {
  const isThere = (name: string): boolean => path.split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
  return names.filter((name) => !isThere(name));
}
