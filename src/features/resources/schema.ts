/** The words of every resource: the manifest, and what the server adds to it. */
import { z } from 'zod';
import { isIdentifier } from '#kernel/identifier.ts';
import { isPrintable } from '#kernel/printable.ts';
import type { ScopePath } from '#kernel/scope.ts';

export const identifier = z.string().refine(isIdentifier, {
  error: 'must begin with a letter or `_` and go on with at most 127 letters, digits or `_`',
});

/** One line that people read. */
export const displayName = z.string().min(1).max(256).refine(isPrintable, { error: 'must be one line, without control characters' });
const description = z.string().max(4_096);
/** zod leaves a key called `__proto__` out without a word, and a document that is saved must be the one that was sent. */
const noPrototype = (value: unknown, context: z.RefinementCtx): unknown => {
  if (typeof value === 'object' && value !== null && Object.hasOwn(value, '__proto__')) context.addIssue({ code: 'custom', message: '`__proto__` is not a tag key' });
  return value;
};

const tags = z.preprocess(noPrototype, z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_.-]{0,127}$/, { error: 'must be a tag key of at most 128 letters, digits, `_`, `.` or `-`' }), z.string().max(256).refine(isPrintable, { error: 'must be one line, without control characters' }))
  .refine((map) => Object.keys(map).length <= 128, { error: 'at most 128 tags' }));

/** The part of a manifest that a person may change. */
export const manifestBody = z.strictObject({
  name: displayName.optional(),
  description: description.optional(),
  tags: tags.optional(),
  spec: z.unknown(),
});

export const manifest = z.strictObject({
  kind: z.string().max(128),
  scope: z.string().max(257).optional(),
  identifier: z.string().max(256),
  ...manifestBody.shape,
});

export type Manifest = z.infer<typeof manifest>;

const maxDocuments = 2_000;

/** Documents that are applied, planned, or asked about. */
export const changeBody = z.strictObject({
  documents: z.array(manifest).min(1).max(maxDocuments),
  set: identifier.optional().describe('name of the set these documents belong to'),
  prune: z.boolean().default(false).describe('delete what was last applied under this set and is not in it any more'),
});
export type ChangeBody = z.infer<typeof changeBody>;

const time = z.iso.datetime({ precision: 3 });

export const resourceView = z.strictObject({
  kind: z.string(),
  scope: z.string().optional(),
  identifier: z.string(),
  name: z.string().optional(),
  description: z.string().optional(),
  tags: z.record(z.string(), z.string()).optional(),
  spec: z.unknown(),
  uid: z.uuid(),
  path: z.string(),
  version: z.number().int(),
  createdAt: time,
  createdBy: z.string(),
  updatedAt: time,
  updatedBy: z.string(),
});

export type ResourceView = z.infer<typeof resourceView>;

/** An org or project one may not view, named because something of one's own lies in it. */
export const scopeName = z.strictObject({ kind: z.string(), scope: z.string().optional(), identifier: z.string(), name: z.string().optional(), path: z.string() });
export type ScopeName = z.infer<typeof scopeName>;

/** A checked document: kind known, scope parsed, spec fits. */
export interface Document {
  /** Snake case. */
  readonly kind: string;
  readonly scope: ScopePath;
  readonly identifier: string;
  readonly name: string | null;
  readonly description: string | null;
  readonly tags: Readonly<Record<string, string>>;
  /** Without secret values. */
  readonly spec: unknown;
}

export interface StoredResource extends Document {
  readonly accountId: string;
  readonly uid: string;
  readonly refs: Readonly<Record<string, string>>;
  readonly version: number;
  readonly appliedSet: string | null;
  readonly createdAt: Date;
  readonly createdBy: string;
  readonly updatedAt: Date;
  readonly updatedBy: string;
}

const plannedChange = z.strictObject({
  action: z.enum(['create', 'update', 'delete', 'unchanged']),
  kind: z.string(),
  path: z.string(),
  uid: z.uuid(),
  fields: z.array(z.string()).describe('JSON Pointers of what changes'),
});

/** What was saved, or would be, and should be looked at. */
const saveWarning = z.strictObject({
  document: z.number().int().describe('index into `documents`; 0 where there is one'),
  pointer: z.string(),
  code: z.string(),
  message: z.string(),
  suggestion: z.string().optional(),
});
export type SaveWarning = z.infer<typeof saveWarning>;

export const savedView = resourceView.extend({ warnings: z.array(saveWarning).optional() });

export const applyResult = z.strictObject({
  changes: z.array(plannedChange),
  warnings: z.array(saveWarning),
  revision: z.number().int().describe('revision of the access facts once applied'),
});
