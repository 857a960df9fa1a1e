/**
 * Marks on spec fields: what a field means beyond its type. They are read by walking the schema beside a document that
 * already fits it.
 */
import { z } from 'zod';
import { referencePattern } from './reference.ts';
import { isScopePattern, parseScope } from './scope.ts';

export interface Mark {
  /** Names a resource of this kind, or of the kind named by the sibling field. */
  readonly ref?: string | { readonly kindFrom: string };
  readonly scope?: 'path' | 'pattern';
  readonly secret?: true;
  readonly duration?: true;
}

const marks = z.registry<Mark>();

export function marked<T extends z.ZodType>(schema: T, mark: Mark): T {
  const own = schema.clone() as T;
  marks.add(own, mark);
  return own;
}

/** The mark of this very schema; what it wraps or contains has marks of its own. */
export function markOf(schema: z.core.$ZodType): Mark | undefined {
  return marks.get(schema as z.ZodType);
}

const reference = z.string().regex(referencePattern, { error: 'must be a reference such as `x`, `org.x` or `account.x`' });

/** A reference to a resource of one kind, or of the kind another field of the same object names. */
export function ref(kind: Mark['ref'] & {}): z.ZodString {
  return marked(reference, { ref: kind });
}

export const scopePath = marked(
  z.string().max(257).refine((text) => parseScope(text) !== null, { error: 'must be a scope path such as `/`, `org` or `org/project`' }),
  { scope: 'path' },
);

export const scopePattern = marked(
  z.string().max(260).refine(isScopePattern, { error: 'must be a scope pattern such as `org/project`, `org/**` or `**`' }),
  { scope: 'pattern' },
);

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** `90s`, `15m`, `2h`, `7d` → seconds. */
export function durationSeconds(text: string): number {
  return Number(text.slice(0, -1)) * unitSeconds[text.at(-1)!]!;
}

export function duration(limits: { readonly minSeconds: number; readonly maxSeconds: number }): z.ZodString {
  const schema = z
    .string()
    .regex(/^[1-9]\d{0,6}[smhd]$/, { error: 'must be a duration such as `90s`, `15m` or `2h`' })
    .refine((text) => durationSeconds(text) >= limits.minSeconds && durationSeconds(text) <= limits.maxSeconds, {
      error: `must be between ${limits.minSeconds} and ${limits.maxSeconds} seconds`,
    });
  return marked(schema, { duration: true });
}

export interface Marked {
  readonly mark: Mark;
  readonly value: unknown;
  readonly path: readonly PropertyKey[];
  /** The object or array that holds the value. */
  readonly parent: unknown;
}

/** Visits every marked field of a document that fits the schema, depth first. */
export function visitMarks(schema: z.ZodType, document: unknown, visit: (field: Marked) => void): void {
  walk(schema, document, [], undefined, visit);
}

function walk(schema: z.ZodType, value: unknown, path: PropertyKey[], parent: unknown, visit: (field: Marked) => void): void {
  if (value === undefined || value === null) return;
  const mark = marks.get(schema);
  if (mark !== undefined) visit({ mark, value, path: [...path], parent });
  const def = schema._zod.def as unknown as Definition;
  switch (def.type) {
    case 'object':
      for (const [key, field] of Object.entries(def.shape!)) {
        if (Object.hasOwn(value, key)) walk(field, (value as Record<string, unknown>)[key], [...path, key], value, visit);
      }
      return;
    case 'array':
      (value as unknown[]).forEach((item, i) => walk(def.element!, item, [...path, i], value, visit));
      return;
    case 'record':
      for (const [key, item] of Object.entries(value)) walk(def.valueType!, item, [...path, key], value, visit);
      return;
    case 'union': {
      const fitting = def.options!.find((option) => option.safeParse(value).success);
      if (fitting !== undefined) walk(fitting, value, path, parent, visit);
      return;
    }
    case 'optional':
    case 'nullable':
    case 'default':
    case 'prefault':
    case 'readonly':
      walk(def.innerType!, value, path, parent, visit);
      return;
    case 'pipe':
      walk(def.in!, value, path, parent, visit);
      walk(def.out!, value, path, parent, visit);
      return;
    default:
  }
}

/** The part of zod's definition objects the walk reads. */
interface Definition {
  readonly type: string;
  readonly shape?: Record<string, z.ZodType>;
  readonly element?: z.ZodType;
  readonly valueType?: z.ZodType;
  readonly options?: readonly z.ZodType[];
  readonly innerType?: z.ZodType;
  readonly in?: z.ZodType;
  readonly out?: z.ZodType;
}
