/** Commands as records; this file makes the program of them: help, options, exit codes, how failures are printed. */
import { Command as Program, CommanderError, Option } from 'commander';
import { Refusal, catalogue } from '#kernel/errors.ts';
import type { ErrorCode } from '#kernel/errors.ts';
import { forTerminal, printable } from '#kernel/printable.ts';

export interface Terminal {
  readonly print: (line: string) => void;
  readonly warn: (line: string) => void;
  /** Shown only on a terminal. */
  readonly progress: (line: string) => void;
  readonly isTerminal: boolean;
}

export interface CommandInput {
  readonly args: readonly string[];
  readonly options: Readonly<Record<string, unknown>>;
  readonly terminal: Terminal;
  /** `--json` was given. */
  readonly json: boolean;
}

export interface CommandOption {
  readonly flags: string;
  readonly help: string;
  readonly repeatable?: true;
  readonly required?: true;
}

export interface CommandRecord {
  /** Words after `sallyport`, e.g. `account create`. */
  readonly name: string;
  readonly summary: string;
  /** `<needed>`, `[optional]`, `[several...]`. */
  readonly args?: readonly (readonly [string, string])[];
  readonly options?: readonly CommandOption[];
  /** Prints data, so it has `--json`. */
  readonly data?: true;
  readonly run: (input: CommandInput) => Promise<number | void>;
}

/** A failure the user can act on; printed without a stack. */
export class UsageError extends Error {}

const usage = 2;
const exitCodes: Partial<Record<ErrorCode, number>> = { 'host.in_use': 3, 'host.database': 4, 'database.unavailable': 4 };

export async function runCli(argv: readonly string[], { commands, version }: { commands: readonly CommandRecord[]; version: string }): Promise<number> {
  let code = 0;
  const program = new Program('sallyport').description('identity and access plane for software delivery').version(version).exitOverride().showHelpAfterError('(see --help)');
  const terminal = createTerminal();
  for (const record of commands) addCommand(program, record, async (input) => void (code = (await record.run({ ...input, terminal })) ?? 0));
  try {
    await program.parseAsync(argv, { from: 'user' });
    return code;
  } catch (error) {
    return report(error, terminal);
  }
}

function addCommand(program: Program, record: CommandRecord, run: (input: Omit<CommandInput, 'terminal'>) => Promise<void>): void {
  const words = record.name.split(' ');
  let parent = program;
  for (const word of words.slice(0, -1)) {
    parent = parent.commands.find((command) => command.name() === word) ?? parent.command(word).exitOverride();
  }
  if (parent !== program) parent.description([...parent.commands.map((command) => command.name()), words.at(-1)!].join(', '));
  const command = parent.command(words.at(-1)!).description(record.summary).exitOverride();
  for (const [name, help] of record.args ?? []) command.argument(name, help);
  for (const option of record.options ?? []) {
    const made = new Option(option.flags, option.help);
    if (option.repeatable) made.argParser((value: string, before: string[] | undefined) => [...(before ?? []), value]);
    if (option.required) made.makeOptionMandatory();
    command.addOption(made);
  }
  if (record.data) command.option('--json', 'print JSON');
  command.action(async (...given: unknown[]) => {
    const options = command.opts();
    const args = given.slice(0, record.args?.length ?? 0).flat().filter((value) => value !== undefined).map(String);
    await run({ args, options, json: options['json'] === true });
  });
}

function createTerminal(): Terminal {
  // Whoever read this (`| head`) has seen enough. A server goes on; other commands have their end before them anyway.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  const isTerminal = process.stdout.isTTY === true;
  return {
    isTerminal,
    // Who reads it from a file or a pipe gets what there is.
    print: (line) => void process.stdout.write(`${isTerminal ? forTerminal(line) : line}\n`),
    warn: (line) => void process.stderr.write(`${process.stderr.isTTY === true ? forTerminal(line) : line}\n`),
    progress: (line) => void (process.stderr.isTTY === true && process.stderr.write(`${line} …\n`)),
  };
}

function report(error: unknown, terminal: Terminal): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : usage;
  if (error instanceof UsageError) {
    terminal.warn(`sallyport: ${error.message}`);
    return usage;
  }
  if (error instanceof Refusal) {
    const { title, help } = catalogue[error.code];
    terminal.warn(`sallyport: ${title}${error.say === undefined ? '' : `: ${error.say}`} [${error.code}]`);
    for (const { pointer, message } of error.errors) terminal.warn(`  ${pointer}: ${message}`);
    terminal.warn(`  ${help}`);
    if (error.because !== undefined && error.because !== error.say) terminal.warn(`  (${error.because})`);
    return exitCodes[error.code] ?? 1;
  }
  terminal.warn(`sallyport: ${fileFault(error) ?? (error instanceof Error ? error.message : String(error))}`);
  return 1;
}

const fileFaults: Readonly<Record<string, string>> = {
  ENOENT: 'is not there', EACCES: 'may not be read or written by this user', EPERM: 'may not be read or written by this user', EISDIR: 'is a directory', ENOTDIR: 'leads through something that is no directory',
};

/** What is wrong with a file a command was given; undefined for other errors. */
function fileFault(error: unknown): string | undefined {
  const { code = '', path } = error as NodeJS.ErrnoException;
  return path !== undefined && Object.hasOwn(fileFaults, code) ? `\`${path}\` ${fileFaults[code]}` : undefined;
}

/** Columns as wide as their content, in which nothing that others wrote acts on the terminal. */
export function table(written: readonly (readonly string[])[]): string[] {
  const rows = written.map((row) => row.map(printable));
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)));
  return rows.map((row) => row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i]!))).join('  '));
}
