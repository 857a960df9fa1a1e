import { refusal } from '#kernel/errors.ts';
import { protocolLimits } from '#features/runners/schema.ts';
import { maxOutputVariables } from './outputs.ts';

export type StepShell = 'sh' | 'bash';

/** Names of environment and output variables: what both shells can export. */
const variableName = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;

const maxScriptBytes = 4 * 1024 * 1024;
const maxEnvironmentVariables = 1_000;
const maxEnvironmentBytes = 1024 * 1024;
/** Linux refuses to start any program with a longer `NAME=value`. */
export const maxVariableBytes = protocolLimits.variableBytes;

/** What a step asks for, as far as it is text. */
export interface StepText {
  readonly script: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly outputVariables: readonly string[];
}

/** Refuses with `runner.cannot` what no shell could be given. Values are never repeated: they may be secrets. */
export function checkStepText({ script, environment, outputVariables }: StepText): void {
  if (script.includes('\0')) throw cannot('the script contains a NUL character; remove it');
  if (Buffer.byteLength(script) > maxScriptBytes) throw cannot(`the script is longer than ${maxScriptBytes} bytes`);
  const variables = Object.entries(environment);
  if (variables.length > maxEnvironmentVariables) {
    throw cannot(`the step has more than ${maxEnvironmentVariables} environment variables`);
  }
  let total = 0;
  for (const [name, value] of variables) {
    checkName(name, 'environment variable');
    const bytes = Buffer.byteLength(`${name}=${value}`);
    if (value.includes('\0')) throw cannot(`the environment variable \`${name}\` contains a NUL character; encode it`);
    if (bytes > maxVariableBytes) {
      throw cannot(`the environment variable \`${name}\` is longer than ${maxVariableBytes} bytes; pass a file instead`);
    }
    total += bytes;
  }
  if (total > maxEnvironmentBytes) throw cannot(`the environment is larger than ${maxEnvironmentBytes} bytes`);
  if (outputVariables.length > maxOutputVariables) {
    throw cannot(`the step has more than ${maxOutputVariables} output variables`);
  }
  for (const name of outputVariables) checkName(name, 'output variable');
}

/** What the loader says as soon as it runs: the sandbox stands, nothing of the step has started. */
export const readyByte = 'r';
export const loaderGreeting = `printf ${readyByte} >&3\nexec 3>&-\n`;

export interface LoaderParts {
  readonly shellPath: string;
  /** The program of `mainProgram`, as the step sees it. */
  readonly mainPath: string;
  readonly home: string;
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * The program `/bin/sh` reads from its standard input inside the sandbox, after the greeting: it sets the environment
 * and becomes the step's shell.
 *
 * The environment comes this way and not as that of the launchers, because those run with the runner's rights and the
 * dynamic linker would obey a `LD_PRELOAD` of the pipeline's author; and not as arguments, because those are readable
 * by every user of the host. `command` makes a name the shell reserves (`UID` in bash) an ordinary failure: that one
 * variable stays as the shell has it.
 */
export function loaderProgram({ shellPath, mainPath, home, environment }: LoaderParts): string {
  return [
    'umask 022',
    'ulimit -c 0', // a core file of a step would hold its secrets
    '{ echo 500 >/proc/self/oom_score_adj; } 2>/dev/null', // when memory ends, the step goes before the server
    `cd ${shellQuote(home)} || exit 126`,
    'unset PWD OLDPWD SHLVL', // what the loader's own shell made up
    ...Object.entries(environment).map(([name, value]) => `command export ${name}=${shellQuote(value)}`),
    `exec ${shellQuote(shellPath)} ${shellQuote(mainPath)} </dev/null`,
    '',
  ].join('\n');
}

export interface MainParts {
  readonly scriptPath: string;
  readonly outputsPath: string;
  readonly outputVariables: readonly string[];
}

/**
 * The file the step's shell runs: it sources the user's script and writes the listed variables as they are when it ends,
 * also by `exit` or `set -e`. The record is the exit status, then `NAME=value` for each variable that is set, each ended
 * by NUL. Lost are the outputs of a script that ends by `exec` or a signal, or that both sets its own EXIT trap and
 * leaves before its last line.
 */
export function mainProgram({ scriptPath, outputsPath, outputVariables }: MainParts): string {
  return [
    '__sallyport_end() {',
    '  __sallyport_status=$?',
    '  { set +x; } 2>/dev/null', // or `set -x` would print every output
    '  {',
    `    printf '%s\\0' "$__sallyport_status"`,
    ...outputVariables.map((name) => `    if [ -n "\${${name}+x}" ]; then printf '${name}=%s\\0' "$${name}"; fi`),
    `  } 2>/dev/null >|${shellQuote(outputsPath)} || :`,
    '  return "$__sallyport_status"',
    '}',
    'trap __sallyport_end EXIT',
    `. ${shellQuote(scriptPath)}`,
    '__sallyport_end', // the script may have put its own trap in the place of ours
    '',
  ].join('\n');
}

/** One word of a POSIX shell that means exactly `text`. */
export function shellQuote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function checkName(name: string, what: string): void {
  if (!variableName.test(name)) {
    throw cannot(`the ${what} \`${name.slice(0, 200)}\` must match ${variableName.source}`);
  }
}

function cannot(say: string) {
  return refusal('runner.cannot', { say });
}
