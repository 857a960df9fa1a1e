/** What changes between two documents, field by field, for plans and for the audit. Secret values are never in a spec. */
import { canonicalJson } from '#kernel/canonical.ts';
import { pointerOf } from '#kernel/matcher.ts';
import type { Document } from './schema.ts';

export interface FieldChange {
  readonly pointer: string;
  readonly before?: unknown;
  readonly after?: unknown;
}

const maxChanges = 200;

export function diffDocuments(before: Document | null, after: Document | null): FieldChange[] {
  const changes: FieldChange[] = [];
  compare(body(before), body(after), [], changes);
  return changes.slice(0, maxChanges);
}

function body(document: Document | null): unknown {
  if (document === null) return undefined;
  const { name, description, tags, spec } = document;
  return { ...(name === null ? {} : { name }), ...(description === null ? {} : { description }), tags, spec };
}

function compare(before: unknown, after: unknown, path: string[], changes: FieldChange[]): void {
  if (changes.length >= maxChanges || same(before, after)) return;
  if (isPlainObject(before) && isPlainObject(after)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) compare(before[key], after[key], [...path, key], changes);
    return;
  }
  changes.push({ pointer: pointerOf(path), ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) });
}

function same(a: unknown, b: unknown): boolean {
  if (a === undefined || b === undefined) return a === b;
  return canonicalJson(a) === canonicalJson(b);
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
