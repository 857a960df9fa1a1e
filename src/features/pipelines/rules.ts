/** Rules of a pipeline document that look at more than one field. Pure; pointers start at the spec. */
import type { FieldError } from '#kernel/errors.ts';
import type { ScopePath } from '#kernel/scope.ts';
import { bounds } from './document.ts';
import { identityFaults, maxIdentities } from './identities.ts';
import type { PipelineDocument, PipelineSpec, StageDocument, StepDocument } from './document.ts';

export interface PlacedStage {
  readonly stage: StageDocument;
  readonly pointer: string;
  /** Position in the list of stages; those of one `parallel` share it. */
  readonly group: number;
}

export interface PlacedStep {
  readonly step: StepDocument;
  readonly pointer: string;
  readonly group: number;
}

/** All stages in the order of the file, with their places. */
export function stagesOf(pipeline: PipelineDocument): PlacedStage[] {
  return pipeline.stages.flatMap((entry, group) => {
    const pointer = `/pipeline/stages/${group}`;
    if (entry.stage !== undefined) return [{ stage: entry.stage, pointer: `${pointer}/stage`, group }];
    return (entry.parallel ?? []).map(({ stage }, i) => ({ stage, pointer: `${pointer}/parallel/${i}/stage`, group }));
  });
}

/** All steps of a stage in the order of the file, with their places. */
export function stepsOf({ stage, pointer }: { readonly stage: StageDocument; readonly pointer: string }): PlacedStep[] {
  return stage.spec.execution.steps.flatMap((entry, group) => {
    const at = `${pointer}/spec/execution/steps/${group}`;
    if (entry.step !== undefined) return [{ step: entry.step, pointer: `${at}/step`, group }];
    return (entry.parallel ?? []).map(({ step }, i) => ({ step, pointer: `${at}/parallel/${i}/step`, group }));
  });
}

/** Names said twice, too many parts, parts that miss each other. */
export function documentFaults(pipeline: PipelineDocument): FieldError[] {
  const stages = stagesOf(pipeline);
  const steps = stages.map(stepsOf);
  return [
    ...emptyParallel(pipeline),
    ...tooMany(stages.length, bounds.stages, 'stages'),
    ...tooMany(steps.reduce((sum, list) => sum + list.length, 0), bounds.steps, 'steps'),
    ...twice('variable', namesIn(pipeline.variables, '/pipeline/variables')),
    ...twice('stage', stages.map(({ stage, pointer }) => ({ name: stage.identifier, pointer: `${pointer}/identifier` }))),
    ...stages.flatMap((placed, i) => stageFaults(placed, steps[i]!)),
    ...identityFaults(pipeline.identities, '/pipeline'),
    ...stages.flatMap((placed, i) => [placed, ...steps[i]!].flatMap((one) => identityFaults('step' in one ? one.step.identities : one.stage.identities, one.pointer))),
    ...stages.flatMap((placed, i) => steps[i]!.flatMap((one) => tooManyIdentities(pipeline, placed, one))),
  ];
}

function tooManyIdentities(pipeline: PipelineDocument, { stage }: PlacedStage, { step, pointer }: PlacedStep): FieldError[] {
  const count = new Set([pipeline, stage, step].flatMap(({ identities }) => Object.keys(identities ?? {}))).size;
  if (count <= maxIdentities) return [];
  return [{ pointer: `${pointer}/identities`, message: `the step has ${count} identities with those of its stage and pipeline; at most ${maxIdentities} are given to one` }];
}

interface PipelineDraft {
  readonly scope: ScopePath;
  readonly identifier: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly spec: PipelineSpec;
}

/** The rules above, and that what the file repeats of its manifest agrees with it. */
export function manifestFaults(draft: PipelineDraft): FieldError[] {
  const { pipeline } = draft.spec;
  const [org, project] = draft.scope.split('/');
  const errors: FieldError[] = [];
  const agree = (field: string, said: string | undefined, is: string | undefined): void => {
    if (said === undefined || said === is) return;
    const message = `says \`${said}\`, the manifest says \`${is ?? ''}\`; leave it out here`;
    errors.push({ pointer: `/pipeline/${field}`, message });
  };
  agree('identifier', pipeline.identifier, draft.identifier);
  agree('orgIdentifier', pipeline.orgIdentifier, org);
  agree('projectIdentifier', pipeline.projectIdentifier, project);
  if (pipeline.tags !== undefined && !sameTags(pipeline.tags, draft.tags)) {
    const message = 'differs from the `tags` of the manifest, which are what access conditions read; leave it out here';
    errors.push({ pointer: '/pipeline/tags', message });
  }
  return [...errors, ...documentFaults(pipeline)];
}

function stageFaults({ stage, pointer }: PlacedStage, steps: readonly PlacedStep[]): FieldError[] {
  const errors = [
    ...twice('variable', namesIn(stage.variables, `${pointer}/variables`)),
    ...twice('step', steps.map(({ step, pointer: at }) => ({ name: step.identifier, pointer: `${at}/identifier` }))),
    ...steps.flatMap(stepFaults),
  ];
  if (stage.type === 'Deployment' && stage.spec.environment === undefined) {
    const message = 'is required in a `Deployment` stage; a stage that deploys nowhere is a `CI` stage';
    errors.push({ pointer: `${pointer}/spec/environment`, message });
  }
  return errors;
}

function stepFaults({ step, pointer }: PlacedStep): FieldError[] {
  const errors = twice('output variable', namesIn(step.spec.outputVariables, `${pointer}/spec/outputVariables`));
  if (step.type === 'Run') return errors;
  errors.push(...twice('environment variable', namesIn(step.spec.environmentVariables, `${pointer}/spec/environmentVariables`)));
  if (step.name?.includes('.') === true) {
    errors.push({ pointer: `${pointer}/name`, message: 'the name of a `ShellScript` step may not contain a dot' });
  }
  return errors;
}

function emptyParallel(pipeline: PipelineDocument): FieldError[] {
  const message = 'must have at least one entry';
  const empty = (entries: readonly { readonly parallel?: readonly unknown[] | undefined }[], pointer: string): FieldError[] =>
    entries.flatMap((entry, i) => (entry.parallel?.length === 0 ? [{ pointer: `${pointer}/${i}/parallel`, message }] : []));
  return [
    ...empty(pipeline.stages, '/pipeline/stages'),
    ...stagesOf(pipeline).flatMap(({ stage, pointer }) => empty(stage.spec.execution.steps, `${pointer}/spec/execution/steps`)),
  ];
}

function tooMany(count: number, max: number, what: string): FieldError[] {
  return count > max ? [{ pointer: '/pipeline/stages', message: `has ${count} ${what} in all; at most ${max} are run` }] : [];
}

interface NamedPlace {
  readonly name: string;
  readonly pointer: string;
}

function namesIn(list: readonly { readonly name: string }[] | undefined, pointer: string): NamedPlace[] {
  return (list ?? []).map(({ name }, i) => ({ name, pointer: `${pointer}/${i}/name` }));
}

function twice(what: string, names: readonly NamedPlace[]): FieldError[] {
  const seen = new Set<string>();
  return names.flatMap(({ name, pointer }) => {
    if (seen.has(name)) return [{ pointer, message: `there is another ${what} called \`${name}\`; give it a name of its own` }];
    seen.add(name);
    return [];
  });
}

function sameTags(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && a[key] === b[key]);
}
