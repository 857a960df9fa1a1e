/** What a run is given when it starts: the places that ask (`<+input>`), and whether what is given fits them. */
import type { FieldError } from '#kernel/errors.ts';
import { nearest } from '#kernel/identifier.ts';
import { pointerOf } from '#kernel/matcher.ts';
import { bounds } from './document.ts';
import type { PipelineDocument, StepDocument, VariableDocument } from './document.ts';
import { inField, maxFaults, runtimeInputOf } from './language.ts';
import type { RuntimeInput } from './language.ts';
import { stagesOf, stepsOf } from './rules.ts';
import { durationFault, timeoutMs } from './timeout.ts';
import { shown } from './words.ts';

export type Scalar = string | number | boolean;

/** One question a pipeline asks of whoever starts it. */
export interface PipelineInput {
  /** A pipeline variable's input has the variable's name; others say where they stand: `stages.deploy.serviceRef`. */
  readonly name: string;
  /** Where it stands in the spec. */
  readonly pointer: string;
  readonly type: 'text' | 'number' | 'duration' | 'reference';
  readonly required: boolean;
  readonly default: Scalar | null;
  readonly allowedValues: readonly Scalar[] | null;
}

/** What an input turned out to be. What the caller chose is untrusted, what the author wrote as default is not. */
export interface GivenInput {
  readonly name: string;
  readonly pointer: string;
  readonly value: Scalar | null;
  readonly untrusted: boolean;
}

export const maxInputs = 1000;

/** Finding the nearest of very many names takes a server's time, and whoever may run a pipeline can ask for it. */
const maxSuggestions = 5;
const maxCompared = 200;
const maxComparedLength = 64;

export const secretInputFault =
  'a secret cannot be an input: what a caller chooses may not name a secret; write the reference here';

/** Everything a pipeline asks for, in the order of the file; faults of the questions themselves go to `errors`. */
export function inputsOf(pipeline: PipelineDocument, errors: FieldError[]): PipelineInput[] {
  const inputs: PipelineInput[] = [];
  const ask = (question: Pick<PipelineInput, 'name' | 'pointer' | 'type'>, value: unknown, variable?: VariableDocument): void => {
    const input = inField(question.pointer, errors, () => runtimeInputOf(value));
    if (input === null || input === undefined) return;
    inputs.push({ ...question, ...answers(input, variable, question.pointer, errors) });
  };
  const askVariables = (list: readonly VariableDocument[] | undefined, prefix: string, pointer: string): void => {
    list?.forEach((variable, i) => {
      const type = variable.type === 'Number' ? 'number' as const : 'text' as const;
      ask({ name: `${prefix}${variable.name}`, pointer: `${pointer}/variables/${i}/value`, type }, variable.value, variable);
    });
  };
  askVariables(pipeline.variables, '', '/pipeline');
  ask({ name: 'pipeline.timeout', pointer: '/pipeline/timeout', type: 'duration' }, pipeline.timeout);
  for (const placed of stagesOf(pipeline)) {
    const { stage, pointer } = placed;
    const prefix = `stages.${stage.identifier}`;
    askVariables(stage.variables, `${prefix}.variables.`, pointer);
    ask({ name: `${prefix}.timeout`, pointer: `${pointer}/timeout`, type: 'duration' }, stage.timeout);
    if (stage.type === 'Deployment') {
      const { service, environment } = stage.spec;
      const at = `${pointer}/spec`;
      ask({ name: `${prefix}.serviceRef`, pointer: `${at}/service/serviceRef`, type: 'reference' }, service?.serviceRef);
      const question = { name: `${prefix}.environmentRef`, pointer: `${at}/environment/environmentRef` };
      ask({ ...question, type: 'reference' }, environment?.environmentRef);
    }
    for (const { step, pointer: at } of stepsOf(placed)) {
      const own = `${prefix}.steps.${step.identifier}`;
      ask({ name: `${own}.timeout`, pointer: `${at}/timeout`, type: 'duration' }, step.timeout);
      for (const { name, value, path } of environmentFields(step)) {
        const field = step.type === 'Run' ? 'envVariables' : 'environmentVariables';
        ask({ name: `${own}.${field}.${name}`, pointer: at + pointerOf(path), type: 'text' }, value);
      }
    }
  }
  return inputs;
}

interface EnvironmentField {
  readonly name: string;
  readonly type: 'String' | 'Number' | 'Secret';
  readonly value: Scalar;
  /** From the step. */
  readonly path: readonly PropertyKey[];
}

/** The two ways in which steps write their environment, as one. */
export function environmentFields(step: StepDocument): EnvironmentField[] {
  if (step.type === 'Run') {
    return Object.entries(step.spec.envVariables ?? {}).map(([name, value]) => ({
      name, type: 'String', value, path: ['spec', 'envVariables', name],
    }));
  }
  return (step.spec.environmentVariables ?? []).map(({ name, type, value }, i) => ({
    name, type: type ?? 'String', value, path: ['spec', 'environmentVariables', i, 'value'],
  }));
}

/**
 * Puts what was given against what is asked for. Faults have pointers `/inputs/<name>`. With `given` null nobody has
 * answered yet (a check at save): everything without a default is then an untrusted null and no fault.
 */
export function resolveInputs(
  asked: readonly PipelineInput[], given: Readonly<Record<string, unknown>> | null, errors: FieldError[],
): ReadonlyMap<string, GivenInput> {
  const byName = new Map(asked.map((input) => [input.name, input]));
  const unknown = Object.keys(given ?? {}).filter((name) => !byName.has(name));
  for (const [i, name] of unknown.slice(0, maxFaults + 1).entries()) {
    errors.push(unknownInput(name, i < maxSuggestions ? [...byName.keys()].slice(0, maxCompared) : []));
  }
  return new Map(asked.map((input) => {
    const value = given !== null && Object.hasOwn(given, input.name) ? given[input.name] : undefined;
    return [input.pointer, { name: input.name, pointer: input.pointer, ...settle(input, value, given === null, errors) }];
  }));
}

function settle(
  input: PipelineInput, value: unknown, unanswered: boolean, errors: FieldError[],
): { readonly value: Scalar | null; readonly untrusted: boolean } {
  if (value === undefined) {
    if (input.default !== null) return { value: input.default, untrusted: false };
    if (input.required && !unanswered) errors.push(inputError(input.name, `is missing${oneOf(input)}`));
    return { value: null, untrusted: unanswered };
  }
  const fault = inputFault(input, value);
  if (fault !== null) errors.push(inputError(input.name, fault));
  return { value: fault === null ? converted(input, value as Scalar) : null, untrusted: true };
}

function inputFault(input: PipelineInput, value: unknown): string | null {
  if (!isScalar(value)) return 'must be text, a number, `true` or `false`';
  const text = String(value);
  if (Buffer.byteLength(text) > bounds.valueBytes) return `must have at most ${bounds.valueBytes} bytes`;
  if (input.required && text === '') return 'must not be empty';
  const { allowedValues } = input;
  const allowed = allowedValues === null || allowedValues.some((one) => String(one) === text);
  if (!allowed) return `is not allowed${oneOf(input)}`;
  if (input.type === 'number' && numberOf(value) === null) return 'must be a number';
  if (input.type === 'duration' && timeoutMs(text) === null) return durationFault;
  return null;
}

/** A finite number, also when written as text; null when it is none. */
export function numberOf(value: Scalar): number | null {
  const number = typeof value === 'string' && /^-?[0-9]{1,30}(?:\.[0-9]{1,30})?$/.test(value.trim()) ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : null;
}

function converted(input: PipelineInput, value: Scalar): Scalar {
  return input.type === 'number' ? numberOf(value)! : String(value);
}

function answers(
  { default: own, allowedValues }: RuntimeInput, variable: VariableDocument | undefined, pointer: string, errors: FieldError[],
): Pick<PipelineInput, 'required' | 'default' | 'allowedValues'> {
  const preset = own ?? variable?.default ?? null;
  if (variable?.type === 'Secret') errors.push({ pointer, message: secretInputFault });
  const number = preset === null || variable?.type !== 'Number' ? undefined : numberOf(preset as Scalar);
  if (number === null) errors.push({ pointer, message: 'the default of a `Number` must be a number' });
  return {
    required: variable?.required !== false && preset === null,
    default: number === undefined ? (preset === null ? null : String(preset)) : number,
    allowedValues: allowedValues === undefined ? null : allowedValues.filter(isScalar),
  };
}

function unknownInput(name: string, known: Iterable<string>): FieldError {
  const near = name.length > maxComparedLength ? undefined : nearest(name, known);
  const hint = near === undefined ? '' : `; did you mean \`${shown(near)}\`?`;
  const message = `the pipeline asks for no input \`${shown(name)}\`${hint}`;
  return { pointer: pointerFor(name), message, ...(near === undefined ? {} : { suggestion: near }) };
}

function inputError(name: string, fault: string): FieldError {
  return { pointer: pointerFor(name), message: `the input \`${shown(name)}\` ${fault}` };
}

function oneOf(input: PipelineInput): string {
  if (input.allowedValues === null) return '';
  const first = input.allowedValues.slice(0, 20).map((value) => `\`${shown(String(value))}\``).join(', ');
  return `; give one of ${first}${input.allowedValues.length > 20 ? ', …' : ''}`;
}

function pointerFor(name: string): string {
  return pointerOf(['inputs', name]);
}

function isScalar(value: unknown): value is Scalar {
  return typeof value === 'string' || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value));
}
