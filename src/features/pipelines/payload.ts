/** What a runner gets for one attempt: the script as text, the environment as values or as what is left to deliver. */
import { Refusal, assert, refusal } from '#kernel/errors.ts';
import { contextOf } from './context.ts';
import { compileField, evaluate, textOf, untrusted, valueOf } from './language.ts';
import type { Context, FunctionTable, Need, Outcome, Taint } from './language.ts';
import type { PlanField, PlanOutput } from './plan.ts';
import { planStep } from './state.ts';
import type { State } from './state.ts';

export interface StepPayload {
  /** Final text: nothing secret and nothing from outside is in it. */
  readonly script: string;
  readonly shell: 'Bash' | 'Sh';
  /** By name; the names are no `__proto__`. Residuals are finished by `deliver` for this attempt alone. */
  readonly environment: Readonly<Record<string, Outcome>>;
  readonly outputVariables: readonly PlanOutput[];
  readonly timeoutMs: number;
  /** Every delivery call the environment may make, each once: access is checked for these before anything is read. */
  readonly needs: readonly Need[];
  /** Taints known before delivery. With those of the delivered values they are the `taint` of `attempt_leased`. */
  readonly taint: { readonly secrets: readonly string[]; readonly untrusted: boolean };
}

interface StepRequest {
  readonly state: State;
  readonly stepUid: string;
  readonly functions: FunctionTable;
}

/**
 * Variables that change what the shell or a program it starts will execute. Text from outside may not be one of them:
 * it would be a script by another door.
 */
const interpretedNames: ReadonlySet<string> = new Set([
  'PATH', 'SHELL', 'HOME', 'ENV', 'IFS', 'PS1', 'PS2', 'PS4', 'PROMPT_COMMAND', 'CDPATH', 'GLOBIGNORE', 'SHELLOPTS', 'BASHOPTS',
  'BASH_ENV', 'EDITOR', 'VISUAL', 'PAGER', 'GCONV_PATH', 'NODE_OPTIONS', 'NODE_PATH', 'PYTHONPATH', 'PYTHONHOME', 'PYTHONSTARTUP',
  'PYTHONUSERBASE', 'PERLLIB', 'PERL5LIB', 'PERL5OPT', 'PERL5DB', 'RUBYOPT', 'RUBYLIB', 'JAVA_TOOL_OPTIONS', '_JAVA_OPTIONS',
  'JDK_JAVA_OPTIONS', 'GIT_SSH', 'GIT_SSH_COMMAND', 'GIT_EXTERNAL_DIFF', 'GIT_PAGER', 'GIT_EDITOR', 'GIT_ASKPASS', 'GIT_EXEC_PATH',
  'GIT_PROXY_COMMAND', 'GIT_TEMPLATE_DIR', 'GIT_DIR', 'GIT_SEQUENCE_EDITOR', 'MANPAGER', 'LESSOPEN', 'LESSCLOSE', 'BROWSER', 'MAKEFLAGS',
  'MFLAGS', 'GNUMAKEFLAGS', 'GOFLAGS', 'RUSTC', 'RUSTC_WRAPPER', 'CLASSPATH', 'MAVEN_OPTS', 'GRADLE_OPTS', 'DOTNET_STARTUP_HOOKS',
  'PHPRC', 'PHP_INI_SCAN_DIR', 'PYTHONBREAKPOINT', 'OPENSSL_CONF', 'OPENSSL_ENGINES', 'OPENSSL_MODULES', 'XDG_CONFIG_HOME', 'ZDOTDIR',
]);
const interpretedPrefix = /^(?:LD_|DYLD_|BASH_FUNC_|BASH_LOADABLES|GIT_CONFIG|LUA_INIT|npm_config_|NPM_CONFIG_|SALLYPORT_)/;

/**
 * Prepares a step of a running execution. Refuses with an `expression.*` code, the place in the pipeline in `errors`; the
 * caller turns that into the event `step_resolved_failed`.
 */
export function prepareStep({ state, stepUid, functions }: StepRequest): StepPayload {
  const step = planStep(state.plan, stepUid);
  assert(step !== undefined, 'a step is prepared that the plan does not have');
  const context = contextOf({ state, functions, stageUid: step.stage, stepUid });
  const script = at(step.script.pointer, () => evaluate(compileField(step.script.text, functions), { context, sink: 'script' }));
  assert(script.kind === 'value', 'the script sink let something through that is delivered');
  const environment = Object.create(null) as Record<string, Outcome>;
  for (const { name, field } of step.environment) environment[name] = environmentValue(name, field, { context, functions });
  const outcomes = Object.values(environment);
  return {
    script: textOf(script.value.data),
    shell: step.shell,
    environment,
    outputVariables: step.outputs,
    timeoutMs: step.timeoutMs,
    needs: needsOf(outcomes),
    taint: taintOf(outcomes.map((outcome) => (outcome.kind === 'value' ? outcome.value : outcome.residual))),
  };
}

/** The `taint` of an attempt from values, residuals and what was delivered. */
export function taintOf(
  parts: readonly { readonly secrets: Iterable<string>; readonly untrusted: boolean }[],
): StepPayload['taint'] {
  const secrets = new Set<string>();
  for (const part of parts) for (const uid of part.secrets) secrets.add(uid);
  return { secrets: [...secrets], untrusted: parts.some((part) => part.untrusted) };
}

/** Refuses text from outside under a name that decides what runs. To be asked again of what is known only at delivery. */
export function refuseInterpreted(name: string, { untrusted: fromOutside }: Pick<Taint, 'untrusted'>): void {
  if (!fromOutside || !(interpretedNames.has(name) || interpretedPrefix.test(name))) return;
  throw refusal('expression.forbidden', { say: `a value from outside may not be \`${name}\`: it decides what programs run; choose another name` });
}

function environmentValue(
  name: string, field: PlanField, { context, functions }: { readonly context: Context; readonly functions: FunctionTable },
): Outcome {
  return at(field.pointer, () => {
    const outcome: Outcome = 'text' in field
      ? evaluate(compileField(field.text, functions), { context, sink: 'environment' })
      : { kind: 'value', value: valueOf(field.data, field.untrusted ? untrusted : undefined) };
    const taint: Pick<Taint, 'untrusted'> = outcome.kind === 'value' ? outcome.value : outcome.residual;
    refuseInterpreted(name, taint);
    if (outcome.kind === 'residual') return outcome;
    const text = outcome.value.data === null ? '' : textOf(outcome.value.data);
    if (text.includes('\0')) throw refusal('expression.invalid', { say: 'an environment variable cannot hold a zero byte' });
    return { kind: 'value', value: valueOf(text, outcome.value) };
  });
}

function needsOf(outcomes: readonly Outcome[]): readonly Need[] {
  const needs = new Map<string, Need>();
  for (const outcome of outcomes) {
    if (outcome.kind === 'value') continue;
    for (const need of outcome.residual.needs) {
      const key = JSON.stringify([need.function, need.args]);
      if (!needs.has(key)) needs.set(key, need);
    }
  }
  return [...needs.values()];
}

/** A refusal of the language, with the place of the field in the pipeline. */
function at<T>(pointer: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const message = error.say ?? error.record.title;
    throw refusal(error.code, { say: message, cause: error, errors: [{ pointer, message }] });
  }
}
