/** What expressions of a step, a stage or a pipeline can read: a pure view of plan, state and execution record. */
import { refusal } from '#kernel/errors.ts';
import type { Refusal } from '#kernel/errors.ts';
import { compileField, contextFrom, evaluate, marked, notYet, untrusted, valueOf } from './language.ts';
import type { Context, ContextTree, FunctionTable, Lookup, Taint, Value, Work } from './language.ts';
import { numberOf } from './inputs.ts';
import { placeOf } from './paths.ts';
import type { Place } from './paths.ts';
import type { PlanStage, PlanStep, PlanVariable } from './plan.ts';
import { isFinal } from './schema.ts';
import { planStage, planStep } from './state.ts';
import type { State } from './state.ts';

/** How many variables may be made of each other in a row. */
const maxChain = 15;
/** Bytes that the expressions of one step, or of a whole pipeline while it is checked, may read together: a second of a server’s time at worst. */
const workBytes = 32 * 1024 * 1024;

/** What many contexts may read together. */
export function workOfMany(): Work {
  return { bytes: workBytes };
}

export interface Viewpoint {
  readonly state: State;
  readonly functions: FunctionTable;
  /** Whose `stage` it is; null outside every stage. */
  readonly stageUid: string | null;
  readonly stepUid: string | null;
  /** Shared with other contexts (`workOfMany`); absent = of this one alone. */
  readonly work?: Work;
}

/**
 * The context of a viewpoint. Roots: `pipeline`, `stage`, `step`, `steps`, `execution`, `account`, `org`, `project`, `env`,
 * `service`, `input`. Inputs, who triggered the run, and outputs of untrusted origin are untrusted; outputs carry the
 * secrets of the step that made them. Variables are evaluated when read. Lookups refuse with `expression.*` codes.
 */
export function contextOf(viewpoint: Viewpoint): Context {
  return new Reading(viewpoint).context(viewpoint.stageUid, viewpoint.stepUid);
}

/** One reading of a state: remembers variables it has evaluated and those it is in the middle of. */
class Reading {
  readonly #state: State;
  readonly #functions: FunctionTable;
  readonly #work: Work;
  readonly #known = new Map<PlanVariable, Value>();
  readonly #open: PlanVariable[] = [];

  constructor({ state, functions, work = workOfMany() }: Viewpoint) {
    this.#state = state;
    this.#functions = functions;
    this.#work = work;
  }

  context(stageUid: string | null, stepUid: string | null): Context {
    const tree = contextFrom(rootsOf(this.#state, stageUid, stepUid));
    return {
      lookup: (path) => this.#lookup(tree, stageUid, path),
      names: (path) => tree.names?.(path) ?? [],
      work: this.#work,
    };
  }

  #lookup(tree: Context, stageUid: string | null, path: readonly (string | number)[]): Lookup {
    if (path.length === 1 && path[0] === 'input') {
      throw forbidden('`<+input>` must be the whole value; give it to a variable and refer to `<+pipeline.variables.…>`');
    }
    if (path.at(-1) === 'variables' && (path.length === 2 || path.length === 4)) {
      throw refusal('expression.unresolved', { say: 'name one variable; they cannot be read all at once' });
    }
    const place = placeOf(this.#state.plan, stageUid, path);
    if (place === null) return tree.lookup(path);
    if (place.kind === 'output') {
      refuseSealed(this.#state, place, path);
      return tree.lookup(path);
    }
    const { data, ...taint } = this.#variable(place);
    if (data === null && place.rest.length > 0) return 'not_yet';
    return contextFrom(data, taint).lookup(place.rest);
  }

  #variable({ variable, stage }: Place & { kind: 'variable' }): Value {
    const known = this.#known.get(variable);
    if (known !== undefined) return known;
    if (this.#open.includes(variable)) {
      throw refusal('expression.limit', { say: `the variable \`${variable.name}\` is made of itself` });
    }
    if (this.#open.length >= maxChain) {
      throw refusal('expression.limit', { say: `more than ${maxChain} variables are made of each other in a row` });
    }
    this.#open.push(variable);
    try {
      const value = this.#evaluated(variable, stage);
      this.#known.set(variable, value);
      return value;
    } finally {
      this.#open.pop();
    }
  }

  #evaluated({ name, type, field }: PlanVariable, stage: string | null): Value {
    if ('data' in field) return valueOf(field.data, field.untrusted ? untrusted : undefined);
    const template = compileField(field.text, this.#functions);
    const outcome = evaluate(template, { context: this.context(stage, null), sink: 'environment' });
    if (outcome.kind === 'residual') {
      const written = `as its whole value \`<+…variables.${name}>\``;
      throw forbidden(`the variable \`${name}\` holds a secret; ${onlyEnvironment}, ${written}`);
    }
    const { value } = outcome;
    if (type !== 'Number' || value.data === null) return value;
    const number = typeof value.data === 'string' || typeof value.data === 'number' ? numberOf(value.data) : null;
    if (number === null) {
      throw refusal('expression.invalid', { say: `the variable \`${name}\` is a \`Number\` and its expression gave none` });
    }
    return valueOf(number, value);
  }
}

function refuseSealed(state: State, { step, output }: Place & { kind: 'output' }, path: readonly (string | number)[]): void {
  if (output.secret) {
    const written = `\`<+${path.join('.')}>\` in delimiters of its own`;
    throw forbidden(`the output \`${output.name}\` is a secret; ${onlyEnvironment}, written as ${written}`);
  }
  const kept = state.steps.find(({ uid }) => uid === step)?.outputs.find(({ name }) => name === output.name);
  if (kept === undefined || 'text' in kept.value) return;
  const remedy = `declare it with \`type: Secret\`, then ${onlyEnvironment}`;
  throw forbidden(`the output \`${output.name}\` turned out to hold a secret; ${remedy}`);
}

const onlyEnvironment = 'only an environment variable of a step can receive it';

function forbidden(say: string): Refusal {
  return refusal('expression.forbidden', { say });
}

/** Parts that hold many others are made when they are read. */
function rootsOf(state: State, stageUid: string | null, stepUid: string | null): ContextTree {
  const { plan, record } = state;
  const [org, project] = plan.pipeline.scope.split('/');
  const stage = stageUid === null ? undefined : planStage(plan, stageUid);
  const step = stepUid === null ? undefined : planStep(plan, stepUid);
  return {
    pipeline: {
      name: plan.pipeline.name,
      identifier: plan.pipeline.identifier,
      status: state.status === 'NotStarted' ? notYet : state.status,
      executionId: record?.executionId ?? notYet,
      sequenceId: record?.sequenceId ?? notYet,
      triggerType: record?.trigger.type ?? notYet,
      // Names and addresses are chosen by the one who starts the run.
      triggeredBy: {
        name: marked(record?.triggeredBy.name ?? null, untrusted),
        email: marked(record?.triggeredBy.email ?? null, untrusted),
        type: record?.triggeredBy.type ?? notYet,
      },
      variables: namesOf(plan.variables),
      get stages(): ContextTree {
        return mapOf(plan.stages.map((one) => [one.identifier, stageTree(state, one)]));
      },
    },
    stage: stage === undefined ? undefined : stageTree(state, stage),
    step: step === undefined ? undefined : stepTree(state, step),
    get steps(): ContextTree {
      return stage === undefined ? undefined : stepsTree(state, stage);
    },
    execution: stage === undefined ? undefined : executionTree(state, stage),
    account: accountTree(state),
    org: { identifier: org, name: record?.organization.name ?? org },
    project: { identifier: project, name: record?.project.name ?? project },
    env: stage === undefined || stage.type !== 'Deployment' ? undefined : environmentTree(state, stage),
    service: stage === undefined || stage.type !== 'Deployment' ? undefined : serviceTree(state, stage),
    input: mapOf(plan.inputs.map(({ name, value, untrusted: outside }) => [name, outside ? marked(value, untrusted) : value])),
  };
}

function accountTree({ record }: State): ContextTree {
  if (record === null) return { identifier: notYet, name: notYet };
  const { identifier, name } = record.account;
  return { identifier, name: name ?? identifier };
}

function stageTree(state: State, stage: PlanStage): ContextTree {
  const status = state.stages.find(({ uid }) => uid === stage.uid)?.status;
  return {
    name: stage.name,
    identifier: stage.identifier,
    type: stage.type,
    status: status === undefined || status === 'NotStarted' ? notYet : status,
    variables: namesOf(stage.variables),
    spec: { execution: executionTree(state, stage) },
  };
}

function executionTree(state: State, stage: PlanStage): ContextTree {
  return {
    get steps(): ContextTree {
      return stepsTree(state, stage);
    },
  };
}

function stepsTree(state: State, stage: PlanStage): ContextTree {
  const steps = state.plan.steps.filter((step) => step.stage === stage.uid);
  return mapOf(steps.map((step) => [step.identifier, stepTree(state, step)]));
}

function stepTree(state: State, step: PlanStep): ContextTree {
  const at = state.steps.find(({ uid }) => uid === step.uid);
  const status = at?.status ?? 'NotStarted';
  const outputs = step.outputs.map(({ name }): [string, ContextTree] => {
    const output = isFinal(status) ? at?.outputs.find((one) => one.name === name) : undefined;
    if (output === undefined || !('text' in output.value)) return [name, notYet];
    const taint: Taint = { secrets: new Set(output.secrets), untrusted: output.untrusted };
    return [name, marked(output.value.text, taint)];
  });
  return {
    name: step.name,
    identifier: step.identifier,
    type: step.type,
    status: status === 'NotStarted' ? notYet : status,
    output: { outputVariables: mapOf(outputs) },
  };
}

function environmentTree({ record }: State, { environment }: PlanStage): ContextTree {
  const entity = record?.environments.find(({ reference }) => reference === environment);
  if (entity === undefined) return { name: notYet, identifier: notYet, type: notYet };
  return { name: entity.name ?? entity.identifier, identifier: entity.identifier, type: entity.type };
}

function serviceTree({ record }: State, { service }: PlanStage): ContextTree {
  const entity = record?.services.find(({ reference }) => reference === service);
  if (entity === undefined) return { name: notYet, identifier: notYet };
  return { name: entity.name ?? entity.identifier, identifier: entity.identifier };
}

/** Only so that errors can suggest names; values of variables are never read from the tree. */
function namesOf(variables: readonly PlanVariable[]): ContextTree {
  return mapOf(variables.map(({ name }) => [name, notYet]));
}

/** A map without a prototype: an identifier may be any word, `constructor` and `__proto__` too. */
function mapOf(entries: readonly (readonly [string, ContextTree])[]): ContextTree {
  const map = Object.create(null) as Record<string, ContextTree>;
  for (const [key, value] of entries) map[key] = value;
  return map;
}
