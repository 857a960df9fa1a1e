/** From any document to a pipeline that fits the schema, or to the faults with their places. */
import type { FieldError } from '#kernel/errors.ts';
import { pointerOf } from '#kernel/matcher.ts';
import { printable } from '#kernel/printable.ts';
import { fieldErrors } from '#platform/http/problem.ts';
import { pipelineSpec } from './document.ts';
import type { PipelineSpec } from './document.ts';
import { maxFaults } from './language.ts';

export type Read = { readonly spec: PipelineSpec } | { readonly errors: readonly FieldError[] };

const maxDepth = 32;
const maxNodes = 50_000;

/**
 * Reads the `spec` of a pipeline manifest (`{ pipeline: … }`). Pointers start at the spec. Every fault is listed, up to a
 * hundred; each has its place, unknown fields and words have a suggestion where one is near.
 */
export function readSpec(document: unknown): Read {
  const oversize = shapeFault(document);
  if (oversize !== null) return { errors: [oversize] };
  const parsed = pipelineSpec.safeParse(document);
  if (parsed.success) return { spec: parsed.data };
  return { errors: firstErrors(fieldErrors(parsed.error, pipelineSpec).map(withSuggestion)) };
}

/** At most `maxFaults`, the last one then saying that there are more. */
export function firstErrors(errors: readonly FieldError[]): readonly FieldError[] {
  if (errors.length <= maxFaults) return errors;
  return [...errors.slice(0, maxFaults - 1), { pointer: '', message: 'and more' }];
}

/** The schema says «did you mean» for words as well as for fields; forms and the CLI want it by itself. */
function withSuggestion({ pointer, message }: FieldError): FieldError {
  const suggestion = /did you mean `([^`]+)`\?$/.exec(message)?.[1];
  return { pointer, message: printable(message), ...(suggestion === undefined ? {} : { suggestion }) };
}

/** Refuses what is too deep or too wide, and the key `__proto__`, which maps of names would lose or obey. */
function shapeFault(document: unknown): FieldError | null {
  const waiting: { value: unknown; path: readonly PropertyKey[] }[] = [{ value: document, path: [] }];
  let nodes = 0;
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { value, path } = next;
    if (typeof value !== 'object' || value === null) continue;
    if (path.length > maxDepth) {
      return { pointer: pointerOf(path.slice(0, 8)), message: `nests deeper than ${maxDepth} levels` };
    }
    const keys = Object.keys(value);
    nodes += keys.length;
    if (nodes > maxNodes) return { pointer: '', message: `has more than ${maxNodes} fields; split the pipeline` };
    for (const key of keys) {
      if (key === '__proto__') return { pointer: pointerOf([...path, key]), message: 'the field `__proto__` cannot be used' };
      waiting.push({ value: (value as Record<string, unknown>)[key], path: [...path, key] });
    }
  }
  return null;
}
