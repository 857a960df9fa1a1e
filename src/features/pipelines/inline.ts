/**
 * A variable that holds a secret, and an output of type `Secret`, have no value on the server: what stands for them is a
 * delivery call. Where such a thing is used by itself, the call is written in its place before the plan is stored.
 */
import type { FieldError } from '#kernel/errors.ts';
import { bounds } from './document.ts';
import { callsDelivery, compileField, inField } from './language.ts';
import type { ExpressionFunction, FunctionTable } from './language.ts';
import { placeOf } from './paths.ts';
import type { Plan, PlanField, PlanVariable } from './plan.ts';

/** What the resolver answers from the outputs of the execution itself (`sealedOutput`). */
export const outputFunction: ExpressionFunction = {
  name: 'outputs.getSecret',
  phase: 'delivery',
  parameters: { min: 2, max: 2 },
  summary: 'the value of an output of type `Secret` of an earlier step, by `stage.step` and name',
  example: '<+outputs.getSecret("build.login", "TOKEN")>',
};

const use = /<\+\s*((?:pipeline|stage|execution|steps)(?:\.[A-Za-z_$][A-Za-z0-9_$]*)+)\s*>/g;
const useAlone = /^<\+\s*((?:pipeline|stage|execution|steps)(?:\.[A-Za-z_$][A-Za-z0-9_$]*)+)\s*>$/;

export function inlineDeferred(plan: Plan, functions: FunctionTable, errors: FieldError[]): Plan {
  const run: Run = { plan, functions, errors, known: new Map() };
  const field = (value: PlanField, stage: string | null): PlanField =>
    'text' in value ? { text: expand(run, { text: value.text, pointer: value.pointer, stage }), pointer: value.pointer } : value;
  const variables = (list: readonly PlanVariable[], stage: string | null): PlanVariable[] =>
    list.map((variable) => ({ ...variable, field: field(variable.field, stage) }));
  return {
    ...plan,
    variables: variables(plan.variables, null),
    stages: plan.stages.map((stage) => ({ ...stage, variables: variables(stage.variables, stage.uid) })),
    steps: plan.steps.map((step) => ({
      ...step,
      script: { ...step.script, text: expand(run, { ...step.script, stage: step.stage }) },
      environment: step.environment.map(({ name, field: value }) => ({ name, field: field(value, step.stage) })),
    })),
  };
}

interface Run {
  readonly plan: Plan;
  readonly functions: FunctionTable;
  readonly errors: FieldError[];
  /** What stands for each variable seen so far; null = nothing does. A variable that is being looked at is null too. */
  readonly known: Map<PlanVariable, StandIn | null>;
}

interface StandIn {
  readonly text: string;
  /** It can stand inside another expression, not only alone. */
  readonly one: boolean;
}

interface Piece {
  readonly text: string;
  readonly pointer: string;
  /** Whose `stage.…` it reads. */
  readonly stage: string | null;
}

function expand(run: Run, { text, pointer, stage }: Piece): string {
  const whole = useAlone.exec(text.trim());
  if (whole !== null) return standIn(run, stage, whole[1]!)?.text ?? text;
  let room = bounds.scriptBytes - Buffer.byteLength(text);
  const expanded = text.replace(use, (written, path: string) => {
    const instead = standIn(run, stage, path);
    if (instead === null || !instead.one || room < 0) return written;
    room -= Buffer.byteLength(instead.text);
    return room < 0 ? written : instead.text;
  });
  if (room < 0) run.errors.push({ pointer, message: 'is too large once the secrets it names are written out' });
  return expanded;
}

/** What stands for a path that has no value on the server; null when it has one, or when nothing can stand there. */
function standIn(run: Run, stage: string | null, path: string): StandIn | null {
  const place = placeOf(run.plan, stage, path.split('.'));
  if (place === null || place.rest.length > 0) return null;
  if (place.kind === 'output') {
    return place.output.secret ? { text: `<+${outputFunction.name}("${place.step}", "${place.output.name}")>`, one: true } : null;
  }
  const { variable } = place;
  const known = run.known.get(variable);
  if (known !== undefined) return known;
  run.known.set(variable, null);
  const { field } = variable;
  if (!('text' in field)) return null;
  const text = expand(run, { ...field, stage: place.stage });
  const found = standInOf(text, run.functions);
  run.known.set(variable, found);
  return found;
}

/** Null when nothing is delivered for it, or it cannot be read, which is told where it stands. */
function standInOf(text: string, functions: FunctionTable): StandIn | null {
  if (!text.includes('<+')) return null;
  const template = inField('', [], () => compileField(text.trim(), functions));
  if (template === undefined || !callsDelivery(template)) return null;
  // One `<+…>` and nothing around it can stand inside another expression; anything else only alone.
  return { text, one: template.root.type !== 'join' && template.root.type !== 'text' };
}
