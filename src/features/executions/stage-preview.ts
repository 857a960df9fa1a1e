/** Pure: what is known of a stage before it runs, from its pipeline's document. A reference that only a run knows is null. */
import type { PipelineSpec, StageDocument } from '#features/pipelines/schema.ts';
import { resolveReference } from '#kernel/reference.ts';
import type { ScopePath } from '#kernel/scope.ts';

export interface StagePreview {
  readonly identifier: string;
  readonly type: string;
  /** `written`: there is one, though only a run may know which. */
  readonly environment: PreviewedReference;
  readonly service: PreviewedReference;
}

export interface PreviewedReference {
  readonly written: boolean;
  readonly reference: string | null;
}

export function stagesOf(spec: PipelineSpec, scope: ScopePath): StagePreview[] {
  const all = spec.pipeline.stages.flatMap(({ stage, parallel }): StageDocument[] => [...(stage === undefined ? [] : [stage]), ...(parallel ?? []).map((each) => each.stage)]);
  return all.map((stage) => {
    const deploys = stage.type === 'Deployment' ? stage.spec : null;
    const named = (text: string | undefined): PreviewedReference => ({ written: text !== undefined, reference: text !== undefined && resolveReference(text, scope) !== null ? text : null });
    return { identifier: stage.identifier, type: stage.type, environment: named(deploys?.environment?.environmentRef), service: named(deploys?.service?.serviceRef) };
  });
}
