/**
 * The words of access: documents of roles, resource groups and role bindings, and the compiled facts by which the engine
 * and the features that bring principals and mappings understand each other.
 *
 * Built-in roles and resource groups are no entries of a world. A reference is tried against `builtin(kind, identifier)`
 * of `builtins.ts` by its bare identifier, from any scope; `isBuiltinIdentifier` keeps others from taking such a name.
 */
import { z } from 'zod';
import type { MappingGrant, TokenUse } from '#kernel/caller.ts';
import type { Cel, CelFaults } from '#kernel/cel.ts';
import { celLimits, faultText, isCompiled } from '#kernel/cel.ts';
import { ref, scopePath } from '#kernel/marks.ts';
import type { Level, ScopePath } from '#kernel/scope.ts';
import { compileForAny } from './expressions.ts';
import type { Resources } from './selector.ts';

const limits = { permissions: 2_000, selectors: 200, identifiers: 1_000, scopes: 200, conditions: 20, expressions: 20, values: 1_000, attributes: 50, verbs: 50 } as const;

/** Lets its holder bind a role without holding it (CONTRACTS §5). */
export const bindPermission = 'role.bind';

const levelWord = z.enum(['account', 'org', 'project']);
const word = '[A-Za-z_][A-Za-z0-9_]{0,127}';

const permissionName = z.string().regex(new RegExp(`^${word}\\.${word}$`), {
  error: 'must be `<kind>.<verb>`; there are no wildcards, list each permission',
});

const scalar = z.union([z.string().max(512), z.number(), z.boolean()], { error: 'must be text of at most 512 characters, a number or true or false' });

const claimPointer = z
  .string()
  .max(512)
  .regex(/^(?:\/(?:[^/~]|~[01])*)+$/, { error: 'must be a JSON Pointer such as `/application_id`' });

/** A missing attribute never matches a selector, so `exists: false` has nothing to say here. */
const selectorMatcher = z.union(
  [
    z.strictObject({ equals: scalar }),
    z.strictObject({ oneOf: z.array(scalar).max(limits.values) }),
    z.strictObject({ glob: z.string().min(1).max(256) }),
    z.strictObject({ exists: z.literal(true) }),
    z.strictObject({ notEquals: scalar }),
    z.strictObject({ notOneOf: z.array(scalar).max(limits.values) }),
    z.strictObject({ notGlob: z.string().min(1).max(256) }),
    z.strictObject({ equalsClaim: claimPointer }),
    z.strictObject({ equalsPrincipal: z.string().min(1).max(128) }),
  ],
  { error: 'must be one of `equals`, `oneOf`, `glob`, `exists: true`, `notEquals`, `notOneOf`, `notGlob`, `equalsClaim` and `equalsPrincipal`' },
);

/** zod leaves a key called `__proto__` out without a word; a condition that goes missing would widen the selector. */
const where = z.preprocess(
  (value, context) => {
    if (typeof value === 'object' && value !== null && Object.hasOwn(value, '__proto__')) {
      context.addIssue({ code: 'custom', message: '`__proto__` is neither `tags.<key>` nor an attribute' });
    }
    return value;
  },
  z
    .record(z.string().min(1).max(260), selectorMatcher)
    .refine((conditions) => Object.keys(conditions).length > 0, { error: 'must have a condition; leave `where` out to select all' })
    .refine((conditions) => Object.keys(conditions).length <= limits.conditions, { error: `must have at most ${limits.conditions} conditions` }),
);

/** An expression in CEL; what is wrong with it is told with its place. */
export function expressionText(compile: (source: string) => Cel | CelFaults) {
  return z
    .string()
    .max(celLimits.characters, { error: `must have at most ${celLimits.characters} characters`, abort: true })
    .superRefine((source, context) => {
      const result = compile(source);
      if (isCompiled(result)) return;
      for (const fault of result.faults) context.addIssue({ code: 'custom', message: faultText(fault) });
    });
}

const resourceName = z.string().refine((text) => new TextEncoder().encode(text).length <= 512, { error: 'must have at most 512 bytes' });

/** One selector as written in resource groups, mapping grants and by sessions asking for less. */
const selectorSchema = z.strictObject({
  type: z.string().min(1).max(128),
  identifiers: z.array(resourceName).max(limits.identifiers).optional(),
  where: where.optional(),
  condition: expressionText(compileForAny).optional().describe('an expression in CEL about `resource`, `principal` and, for kinds of other systems, `action`'),
});

export const selectorList = z
  .array(selectorSchema)
  .max(limits.selectors)
  .refine((selectors) => selectors.filter(({ condition }) => condition !== undefined).length <= limits.expressions, { error: `at most ${limits.expressions} of them may have a \`condition\`` });

export const roleSpec = z.strictObject({
  /** The highest level at which it may be bound. */
  level: levelWord,
  permissions: z.array(permissionName).max(limits.permissions),
});
export type RoleSpec = z.infer<typeof roleSpec>;

export const resourceGroupSpec = z
  .strictObject({
    includeChildScopes: z.boolean().optional(),
    scopes: z.array(z.strictObject({ scope: scopePath, includeChildScopes: z.boolean().optional() })).max(limits.scopes).optional(),
    all: z.literal(true).optional(),
    resources: selectorList.optional(),
  })
  .refine((spec) => spec.scopes === undefined || spec.includeChildScopes === undefined, {
    path: ['includeChildScopes'],
    error: 'belongs to each of `scopes` when there are several',
  })
  .refine((spec) => (spec.all === undefined) !== (spec.resources === undefined), {
    path: ['resources'],
    error: 'either `resources` or `all: true` is needed, not both',
  });
export type ResourceGroupSpec = z.infer<typeof resourceGroupSpec>;

export const principalReference = z
  .strictObject({ type: z.enum(['user', 'user_group', 'service_account']), id: ref({ kindFrom: 'type' }) })
  .refine(({ type, id }) => type !== 'user' || !id.includes('.'), {
    path: ['id'],
    error: 'users belong to the whole account: write the bare identifier',
  });

export const roleBindingSpec = z.strictObject({
  principal: principalReference,
  role: ref('role'),
  resourceGroup: ref('resource_group'),
  disabled: z.boolean().optional(),
  /** RFC 3339. */
  expiresAt: z.iso.datetime({ offset: true, error: 'must be a time such as `2027-01-31T12:00:00Z`' }).max(40).optional(),
});
export type RoleBindingSpec = z.infer<typeof roleBindingSpec>;

const attributeName = z.string().regex(new RegExp(`^${word}$`), { error: 'must be a name of letters, digits and `_`' });

/** zod leaves a key called `__proto__` out without a word. */
function attributesOf<V extends z.ZodType>(value: V) {
  return z.preprocess((written, context) => {
    if (typeof written === 'object' && written !== null && Object.hasOwn(written, '__proto__')) {
      context.addIssue({ code: 'custom', message: '`__proto__` cannot be the name of an attribute' });
    }
    return written;
  }, z.record(attributeName, value).refine((all) => Object.keys(all).length <= limits.attributes, { error: `must have at most ${limits.attributes} attributes` }));
}

export const resourceTypeSpec = z.strictObject({
  /** Says in words that another system holds the resources. */
  external: z.literal(true),
  levels: z.array(levelWord).min(1).max(3),
  verbs: z.array(z.string().regex(new RegExp(`^${word}$`), { error: 'must be a word such as `edit`' })).min(1).max(limits.verbs),
  attributes: attributesOf(z.enum(['string', 'number', 'boolean'])).optional(),
});
export type ResourceTypeSpec = z.infer<typeof resourceTypeSpec>;

export const externalResourceSpec = z.strictObject({
  type: ref('resource_type'),
  /** As the other system calls it: opaque, compared byte for byte. */
  id: resourceName,
  attributes: attributesOf(scalar).optional(),
});
export type ExternalResourceSpec = z.infer<typeof externalResourceSpec>;

export interface Range {
  readonly scope: ScopePath;
  readonly includeChildScopes: boolean;
}

/** `every`: each permission of each kind found at or below the level, as kinds appear; `every_view`: their `view`. */
export interface RoleFacts {
  readonly level: Level;
  readonly permissions: ReadonlySet<string> | 'every' | 'every_view';
}

/** The scope of a built-in group is that of the binding or grant that names it. */
export interface NamersRange {
  /** The only level it selects at; null = any. */
  readonly onlyAt: Level | null;
  readonly includeChildScopes: boolean;
}

export interface ResourceGroupFacts {
  readonly ranges: readonly Range[] | NamersRange;
  readonly resources: Resources;
}

type SubjectType = 'user' | 'user_group' | 'service_account';

export interface Subject {
  readonly type: SubjectType;
  readonly uid: string;
}

/** Null where a reference dangles: then the binding gives nothing. */
export interface BindingFacts {
  readonly principal: Subject | null;
  readonly roleUid: string | null;
  readonly resourceGroupUid: string | null;
  readonly disabled: boolean;
  readonly expiresAtMs: number | null;
}

/** Facts of entries of kind `user` and `service_account`. */
export interface PrincipalFacts {
  readonly enabled: boolean;
}

/** Facts of entries of kind `user_group`. */
export interface GroupFacts {
  readonly members: readonly Subject[];
}

/** Facts of entries of kind `claim_mapping`. */
export interface MappingFacts {
  readonly issuerUid: string;
  readonly mayAdminister: boolean;
  /** Its present grants if its conditions match these claims and how the token was used, else none. */
  readonly grantsFor: (claims: Readonly<Record<string, unknown>>, use?: TokenUse) => readonly MappingGrant[];
  /** Every target, conditions and claims ignored: for granting rules and «who can». */
  readonly allGrants: () => readonly MappingGrant[];
  /** True for those of all grants that only some claims lead to: a claim names their scope. Absent = there is none. */
  readonly isByClaim?: (grant: MappingGrant) => boolean;
}
