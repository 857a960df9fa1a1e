/**
 * The documented pipeline YAML as one strict schema, bounded everywhere. What is documented and not run yet is in
 * `unsupported.ts`; rules that look at more than one field are in `rules.ts`.
 */
import { z } from 'zod';
import { label } from '#features/runners/schema.ts';
import { ref } from '#kernel/marks.ts';
import { identities } from './identities.ts';
import { durationFault, timeoutMs } from './timeout.ts';
import {
  actionsNotYet, ciSpecNotYet, deploymentSpecNotYet, emptyYet, notYet, onlyYet, pipelineFieldsNotYet, runSpecNotYet,
  shellScriptSpecNotYet, shellsNotYet, stageFieldsNotYet, stageTypesNotYet, stepFieldsNotYet, stepTypesNotYet,
} from './unsupported.ts';
import { list, mustBe, oneOf, strict, text, unknownWord } from './words.ts';
import type { RawIssue } from './words.ts';

export const bounds = {
  stages: 100,
  steps: 200,
  scriptBytes: 256 * 1024,
  valueBytes: 64 * 1024,
  conditionBytes: 8 * 1024,
  variables: 100,
  environmentVariables: 100,
  outputVariables: 64,
  failureStrategies: 20,
  selectors: 20,
} as const;

const identifier = z
  .string({ error: (issue) => mustBe(issue, 'an identifier') })
  .regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, {
    error: 'must be an identifier: a letter or `_`, then at most 127 letters, digits and `_`',
  });
const name = text(512);
const description = text(4096).optional();
const tags = z.record(z.string().min(1).max(128), text(512)).optional();

/** A scalar of YAML that becomes text. A fraction would lose digits (`1.10`), so it has to be quoted. */
const scalarFault = (issue: RawIssue): string =>
  issue.input === undefined ? 'is required' : 'must be text, a whole number, `true` or `false`; quote anything else';
const scalar = z.union([text(bounds.valueBytes, scalarFault), z.boolean(), z.int()], { error: scalarFault });

const timeout = z
  .string({ error: (issue) => mustBe(issue, 'a duration such as `30s`, `10m` or `1h 30m`') })
  .max(256)
  .refine((value) => value.startsWith('<+input>') || timeoutMs(value) !== null, {
    error: durationFault,
  });

const processVariableFault = 'must be the name of an environment variable: a letter or `_`, then letters, digits and `_`';
/** Names of process variables. `__proto__` is none, so that no map of them can be turned against us. */
const processVariable = z
  .string({ error: (issue) => mustBe(issue, 'the name of a variable') })
  .regex(/^(?!__proto__$)[A-Za-z_][A-Za-z0-9_]{0,127}$/, { error: processVariableFault });

const settingFault = (): string => 'must be text, a number, `true` or `false`';
const setting = z.union([text(bounds.valueBytes, settingFault), z.number(), z.boolean()], { error: settingFault }).optional();

const variable = strict({
  name: z
    .string({ error: (issue) => mustBe(issue, 'the name of a variable') })
    .regex(/^(?!(?:__proto__|var)$)[A-Za-z_][A-Za-z0-9_.$-]{0,127}$/, {
      error: 'must be the name of a variable: a letter or `_`, then letters, digits, `_`, `.`, `$` and `-`; `var` is reserved',
    }),
  type: oneOf('variable type', ['String', 'Number', 'Secret']),
  value: setting,
  default: setting,
  required: z.boolean().optional(),
  description,
  ...notYet(['allowedValues', 'execution'], 'write `<+input>.allowedValues(…)` as the value'),
});
const variables = list(variable, bounds.variables).optional();

const errorCategories = [
  'AllErrors', 'Unknown', 'Authentication', 'Authorization', 'Connectivity', 'Timeout', 'Verification', 'DelegateProvisioning',
  'PolicyEvaluationFailure', 'InputTimeoutError', 'ApprovalRejection', 'DelegateRestart', 'UserMarkedFailure',
] as const;
const failureActions = ['Abort', 'Ignore', 'MarkAsSuccess', 'MarkAsFailure'] as const;

/** Labels of runners. An empty list, as editors write it, asks for nothing. */
const selectors = list(label, bounds.selectors).optional();

const failureStrategy = strict({
  onFailure: strict({
    errors: list(oneOf('error type', errorCategories), errorCategories.length).min(1, {
      error: 'must name at least one error; `AllErrors` names all',
    }),
    action: strict({ type: oneOf('failure action', failureActions, actionsNotYet), spec: strict({}).optional() }),
  }),
});
const failureStrategies = list(failureStrategy, bounds.failureStrategies).optional();

const outcomes = ['Success', 'Failure', 'All'] as const;
const conditionFault = (): string => 'must be an expression such as `<+pipeline.variables.x> == "y"`';
const condition = z.union([text(bounds.conditionBytes, conditionFault), z.boolean()], { error: conditionFault }).optional();

const stepCommon = {
  identifier,
  name: name.optional(),
  description,
  timeout: timeout.optional(),
  when: strict({ stageStatus: oneOf('stage status', outcomes).optional(), condition }).optional(),
  failureStrategies,
  delegateSelectors: selectors,
  identities,
  ...notYet(stepFieldsNotYet),
};

const outputVariable = strict({
  name: processVariable,
  type: oneOf('output type', ['String', 'Secret']).optional(),
  value: processVariable.optional(),
});
const outputVariables = list(outputVariable, bounds.outputVariables).optional();

const shell = oneOf('shell', ['Bash', 'Sh'], shellsNotYet);

const runStep = strict({
  ...stepCommon,
  type: z.literal('Run'),
  spec: strict({
    shell: shell.optional(),
    command: text(bounds.scriptBytes),
    envVariables: z
      .record(processVariable, scalar, {
        error: (issue) => (issue.code === 'invalid_key' ? processVariableFault : mustBe(issue, 'a map of variables')),
      })
      .refine((map) => Object.keys(map).length <= bounds.environmentVariables, {
        error: `must have at most ${bounds.environmentVariables} variables`,
      })
      .optional(),
    outputVariables,
    ...notYet(runSpecNotYet),
  }),
});

const shellScriptStep = strict({
  ...stepCommon,
  type: z.literal('ShellScript'),
  spec: strict({
    shell,
    source: strict({ type: oneOf('script source', ['Inline'], ['Harness']), spec: strict({ script: text(bounds.scriptBytes) }) }),
    environmentVariables: list(
      strict({ name: processVariable, type: oneOf('variable type', ['String', 'Number', 'Secret']).optional(), value: scalar }),
      bounds.environmentVariables,
    ).optional(),
    outputVariables,
    onDelegate: onlyYet('onDelegate', true),
    executionTarget: emptyYet('executionTarget'),
    delegateSelectors: selectors,
    ...notYet(shellScriptSpecNotYet),
  }),
});

const step = z.discriminatedUnion('type', [runStep, shellScriptStep], {
  error: (issue) => typeFault(issue, 'step type', ['Run', 'ShellScript'], stepTypesNotYet),
});
const stepAlone = strict({ step });
const stepEntry = oneOrParallel({
  step: step.optional(),
  parallel: list(stepAlone, bounds.steps).optional(),
  ...notYet(['stepGroup', 'insert']),
});
const steps = list(stepEntry, bounds.steps).min(1, { error: 'must have at least one step' });
const execution = strict({ steps, rollbackSteps: emptyYet('rollbackSteps') });

const stageCommon = {
  identifier,
  name: name.optional(),
  description,
  tags,
  variables,
  when: strict({ pipelineStatus: oneOf('pipeline status', outcomes).optional(), condition }).optional(),
  timeout: timeout.optional(),
  delegateSelectors: selectors,
  identities,
  ...notYet(stageFieldsNotYet),
};

const ciStage = strict({
  ...stageCommon,
  type: z.literal('CI'),
  failureStrategies,
  spec: strict({ execution, cloneCodebase: onlyYet('cloneCodebase', false), ...notYet(ciSpecNotYet) }),
});

const deploymentStage = strict({
  ...stageCommon,
  type: z.literal('Deployment'),
  failureStrategies: list(failureStrategy, bounds.failureStrategies).min(1, { error: 'must have at least one strategy' }),
  spec: strict({
    service: strict({ serviceRef: entity('service'), ...notYet(['serviceInputs', 'useFromStage', 'gitBranch']) }).optional(),
    environment: strict({
      environmentRef: entity('environment'),
      deployToAll: onlyYet('deployToAll', false),
      infrastructureDefinitions: emptyYet('infrastructureDefinitions'),
      ...notYet([
        'environmentInputs', 'serviceOverrideInputs', 'provisioner', 'filters', 'gitOpsClusters', 'useFromStage', 'gitBranch',
      ]),
    }).optional(),
    execution,
    ...notYet(deploymentSpecNotYet),
  }),
});

const stage = z.discriminatedUnion('type', [ciStage, deploymentStage], {
  error: (issue) => typeFault(issue, 'stage type', ['CI', 'Deployment'], stageTypesNotYet),
});
const stageAlone = strict({ stage });

/** `spec.pipeline` of a manifest. Identifier, scope, name and tags belong to the manifest; if repeated here they must agree. */
const pipelineDocument = strict({
  identifier: identifier.optional(),
  name: name.optional(),
  orgIdentifier: identifier.optional(),
  projectIdentifier: identifier.optional(),
  description,
  tags,
  variables,
  timeout: timeout.optional(),
  delegateSelectors: selectors,
  identities,
  stages: list(oneOrParallel({ stage: stage.optional(), parallel: list(stageAlone, bounds.stages).optional() }), bounds.stages)
    .min(1, { error: 'must have at least one stage' }),
  ...notYet(pipelineFieldsNotYet),
});

export const pipelineSpec = strict({ pipeline: pipelineDocument });

export type PipelineDocument = z.infer<typeof pipelineDocument>;
export type PipelineSpec = z.infer<typeof pipelineSpec>;
export type StageDocument = z.infer<typeof stage>;
export type StepDocument = z.infer<typeof step>;
export type VariableDocument = z.infer<typeof variable>;
export type FailureStrategyDocument = z.infer<typeof failureStrategy>;
export type ErrorCategory = (typeof errorCategories)[number];
export type FailureAction = (typeof failureActions)[number];
export type OutcomeWord = (typeof outcomes)[number];

/** An entry is either one element or a `parallel` list of them. */
function oneOrParallel<S extends { readonly parallel: z.ZodType }>(shape: S): z.ZodObject<S, z.core.$strict> {
  const own = Object.keys(shape)[0]!;
  return strict(shape).refine((entry) => defined(entry, own) !== defined(entry, 'parallel'), {
    error: `must be \`${own}\` or \`parallel\`, one of them`,
  });
}

function defined(entry: object, key: string): boolean {
  return (entry as Record<string, unknown>)[key] !== undefined;
}

/** A reference that is deleted-protected when it is written out, or an expression that gives one when the run starts. */
function entity(kind: string) {
  const error = (issue: RawIssue): string =>
    issue.input === undefined ? 'is required' : 'must be a reference such as `x`, `org.x` or `account.x`, or an expression';
  return z.union([ref(kind), text(bounds.valueBytes, error).refine((value) => value.includes('<+'), { error })], { error });
}

function typeFault(issue: RawIssue, what: string, known: readonly string[], later: readonly string[]): string | undefined {
  if (issue.code === 'invalid_type') return mustBe(issue, 'a map');
  const input = issue.input;
  if (typeof input !== 'object' || input === null) return input === undefined ? 'is required' : 'must be a map';
  return unknownWord((input as Record<string, unknown>)['type'], what, known, later);
}
