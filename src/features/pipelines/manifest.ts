/** A bare pipeline file (`pipeline: { identifier, orgIdentifier, … }`) as the manifest it means. */
import type { FieldError } from '#kernel/errors.ts';
import { isIdentifier } from '#kernel/identifier.ts';
import { pointerOf } from '#kernel/matcher.ts';

export interface PipelineManifest {
  readonly kind: 'Pipeline';
  readonly scope: string;
  readonly identifier: string;
  readonly name?: string;
  readonly description?: string;
  readonly tags?: Readonly<Record<string, unknown>>;
  readonly spec: { readonly pipeline: Readonly<Record<string, unknown>> };
}

type BareResult = { readonly manifest: PipelineManifest } | { readonly errors: readonly FieldError[] };

/** True for a document that is a pipeline file and no manifest. */
export function isBarePipeline(document: unknown): document is { readonly pipeline: unknown } {
  return isMap(document) && Object.hasOwn(document, 'pipeline') && !Object.hasOwn(document, 'kind');
}

/**
 * Lifts identifier, name, description and tags out of a bare file and makes the scope of its org and project identifiers.
 * Nothing is said twice afterwards. The rest is not looked at: the kind's schema does that. Pointers are those of the file.
 */
export function bareToManifest(document: unknown): BareResult {
  if (!isBarePipeline(document)) return faultAt('', 'is no pipeline file: `pipeline` is missing, or there is a `kind`');
  const other = Object.keys(document).find((key) => key !== 'pipeline');
  if (other !== undefined) return faultAt(pointerOf([other]), 'a pipeline file has one field, `pipeline`');
  const pipeline = document.pipeline;
  if (!isMap(pipeline)) return faultAt('/pipeline', 'must be a map');
  const { identifier, name, orgIdentifier, projectIdentifier, description, tags, ...rest } = pipeline;
  const errors = [
    ...identifierFault('identifier', identifier, 'names the pipeline'),
    ...identifierFault('orgIdentifier', orgIdentifier, 'names the organization the pipeline belongs to'),
    ...identifierFault('projectIdentifier', projectIdentifier, 'names the project the pipeline belongs to'),
    ...textFault('name', name),
    ...textFault('description', description),
    ...(tags === undefined || isMap(tags) ? [] : [{ pointer: '/pipeline/tags', message: 'must be a map of texts' }]),
  ];
  if (errors.length > 0) return { errors };
  return {
    manifest: {
      kind: 'Pipeline',
      scope: `${orgIdentifier as string}/${projectIdentifier as string}`,
      identifier: identifier as string,
      ...(name === undefined ? {} : { name: name as string }),
      ...(description === undefined ? {} : { description: description as string }),
      ...(tags === undefined ? {} : { tags: tags as Record<string, unknown> }),
      spec: { pipeline: rest },
    },
  };
}

/** Where a place of the manifest lies in the bare file it was made of. */
export function barePointer(pointer: string): string {
  if (pointer === '/spec') return '/pipeline';
  if (pointer.startsWith('/spec/')) return pointer.slice('/spec'.length);
  if (pointer === '/scope') return '/pipeline/projectIdentifier';
  return pointer === '' || pointer === '/kind' ? '' : `/pipeline${pointer}`;
}

function identifierFault(field: string, value: unknown, why: string): FieldError[] {
  if (typeof value === 'string' && isIdentifier(value)) return [];
  const message = value === undefined
    ? `is required in a file without \`kind\`: it ${why}`
    : 'must be an identifier: a letter or `_`, then at most 127 letters, digits and `_`';
  return [{ pointer: `/pipeline/${field}`, message }];
}

function textFault(field: string, value: unknown): FieldError[] {
  return value === undefined || typeof value === 'string' ? [] : [{ pointer: `/pipeline/${field}`, message: 'must be text' }];
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function faultAt(pointer: string, message: string): BareResult {
  return { errors: [{ pointer, message }] };
}
