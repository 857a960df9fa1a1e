/**
 * Asking for less than the mappings give: `scope` names permissions, `authorization_details` (RFC 9396) what they are for.
 * What comes out are bounds, the one mechanism by which a credential is less than its principal. Asking for more is refused.
 */
import { z } from 'zod';
import { anyGrantNow, builtin, permissionsOf, reachesAll, selectorFaults } from '#features/access/feature.ts';
import type { RoleFacts } from '#features/access/schema.ts';
import { selectorList } from '#features/access/schema.ts';
import type { Bound, Caller } from '#kernel/caller.ts';
import type { Refusal } from '#kernel/errors.ts';
import { refusal } from '#kernel/errors.ts';
import { parseJson } from '#kernel/json.ts';
import type { Kinds } from '#kernel/kind.ts';
import { scopePath } from '#kernel/marks.ts';
import { pointerOf } from '#kernel/matcher.ts';
import { resolveReference } from '#kernel/reference.ts';
import { accountScope, parseScope } from '#kernel/scope.ts';
import type { World } from '#kernel/world.ts';
import type { AskedLess } from './store.ts';

const grantType = 'sallyport_grant';

const maxPermissions = 500;
const maxDetails = 20;
const permission = z.string().max(260);
/** RFC 6749 §3.3. */
const scopeText = /^[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*$/;
const documentLimits = { maxBytes: 32 * 1_024, maxDepth: 16, maxNodes: 5_000 };

const grantDetail = z
  .strictObject({
    type: z.literal(grantType),
    role: z.string().max(140).optional().describe('a reference, read from `scope`: `project_admin`, `account.deployer`'),
    permissions: z.array(permission).min(1).max(maxPermissions).optional(),
    scope: scopePath,
    includeChildScopes: z.boolean().optional(),
    resources: selectorList.optional().describe('absent = all of the scope'),
  })
  .refine(({ role, permissions }) => (role === undefined) !== (permissions === undefined), { error: 'either `role` or `permissions` is needed, not both' });
type GrantDetail = z.infer<typeof grantDetail>;

/** What a token request asks to be held to; null = nothing. */
export interface Wish {
  readonly scope: readonly string[] | null;
  readonly details: readonly GrantDetail[] | null;
}

/** Reads the two parameters. Throws `oauth.invalid_scope` or `oauth.invalid_authorization_details`. */
export function readWish({ scope, authorization_details: details }: { readonly scope?: string | undefined; readonly authorization_details?: string | undefined }): Wish | null {
  if (scope === undefined && details === undefined) return null;
  return { scope: scope === undefined ? null : readScope(scope), details: details === undefined ? null : readDetails(details) };
}

function readScope(text: string): readonly string[] {
  const names = scopeText.test(text) ? [...new Set(text.split(' '))] : [];
  if (names.length === 0 || names.length > maxPermissions) throw badScope('must be permissions with a blank between them, such as `pipeline.view pipeline.execute`');
  return names;
}

function readDetails(text: string): readonly GrantDetail[] {
  const { value, problem, offset } = parseJson(Buffer.from(text), documentLimits);
  if (problem !== undefined) throw badDetails('', `is not acceptable JSON: ${problem} at byte ${offset}`);
  const parsed = z.array(grantDetail).min(1).max(maxDetails).safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw badDetails(pointerOf(issue!.path), issue!.message.charAt(0).toLowerCase() + issue!.message.slice(1));
}

/**
 * The wish as bounds of `caller`, who has none yet. `scope` alone holds for everything; with details both must allow.
 * Conditions of the grants are left aside in comparing: there is no resource yet to compare, and they go on applying.
 */
export function boundsFor(wish: Wish, { world, kinds, caller, now }: { readonly world: World; readonly kinds: Kinds; readonly caller: Caller; readonly now: Date }): AskedLess {
  const words = kinds.of(world);
  const asked = { world, kinds, words, caller, now };
  const { scope, details } = wish;
  for (const name of scope ?? []) {
    const everywhere: Bound = { permissions: [name], extent: { scope: accountScope, includeChildScopes: true, resources: 'all' } };
    if (words.permission(name) === null || !anyGrantNow(world, kinds, { ...caller, bounds: [everywhere] }, now)) throw badScope(`\`${name}\` is no permission that the token gives`);
  }
  if (details === null) return { ...wish, bounds: [{ permissions: scope!, extent: { scope: accountScope, includeChildScopes: true, resources: 'all' } }] };
  const bounds = details.map((detail, i) => detailBound(detail, i, asked)).map((bound) => within(bound, scope)).filter(({ permissions }) => permissions.length > 0);
  if (bounds.length === 0 || !anyGrantNow(world, kinds, { ...caller, bounds }, now)) throw badDetails('', 'leaves nothing that the token gives');
  return { ...wish, bounds };
}

interface Asked {
  readonly world: World;
  readonly kinds: Kinds;
  readonly words: Kinds;
  readonly caller: Caller;
  readonly now: Date;
}

function detailBound(detail: GrantDetail, i: number, asked: Asked): Bound {
  const { world, kinds, words, caller, now } = asked;
  const at = `/${i}`;
  const faults = detail.resources === undefined ? [] : selectorFaults(detail.resources, words, `${at}/resources`);
  if (faults[0] !== undefined) throw badDetails(faults[0].pointer, faults[0].message);
  const extent = { scope: parseScope(detail.scope)!, includeChildScopes: detail.includeChildScopes === true, resources: detail.resources ?? ('all' as const) };
  const isMore = (name: string): boolean => words.permission(name) === null || !reachesAll(world, kinds, caller, { permissions: [name], extent }, now);
  const { role, permissions = [] } = detail;
  if (role === undefined) {
    const beyond = permissions.find(isMore);
    if (beyond !== undefined) throw badDetails(at, `\`${beyond}\` is no permission that the token gives there`);
    return { permissions, extent };
  }
  const named = permissionsOfNamed(role, detail, asked);
  // What a role holds is not told to those who may not view it, nor whether it is there.
  if (named === null || named.some(isMore)) throw badDetails(`${at}/role`, `\`${role}\` is no role that the token gives there`);
  return { permissions: named, extent };
}

/** As they are now; a role that is narrowed later narrows the grants themselves. Null = there is no such role. */
function permissionsOfNamed(role: string, { scope }: GrantDetail, { world, words }: Asked): readonly string[] | null {
  const place = resolveReference(role, parseScope(scope)!);
  const entry = builtin('role', role) ?? (place === null ? undefined : world.find('role', place.scope, place.identifier));
  return entry === undefined ? null : [...permissionsOf(entry.facts as RoleFacts, words)].map(({ permission: name }) => name);
}

function within(bound: Bound, scope: readonly string[] | null): Bound & { readonly permissions: readonly string[] } {
  const permissions = bound.permissions as readonly string[];
  return { ...bound, permissions: scope === null ? permissions : permissions.filter((name) => scope.includes(name)) };
}

function badScope(message: string): Refusal {
  return refusal('oauth.invalid_scope', { errors: [{ pointer: '/scope', message }] });
}

function badDetails(at: string, message: string): Refusal {
  return refusal('oauth.invalid_authorization_details', { errors: [{ pointer: `/authorization_details${at}`, message }] });
}
