/** The peers, loaded with grants looked up for them, since none finds a principal's bindings in a large world quickly. */
import type { Selector } from '#kernel/caller.ts';
import { accountScope, parentOf, upwards } from '#kernel/scope.ts';
import { now } from '../access-world.ts';
import { packages } from '../peers/peers.ts';
import type { PlainGrant, PlainGrants } from './grants.ts';
import type { Ask } from './questions.ts';
import type { AccessRecords } from './records.ts';

/** A question in the form of one engine; made before the time is taken. */
export type Ready = () => boolean;

/** What was asked, as a resource that knows where it lies. */
function resourceOf({ target: { kind, scope, identifier, tags, attributes } }: Ask['question']) {
  const path = scope === accountScope ? String(identifier) : `${scope}/${identifier}`;
  const places = kind === 'organization' || kind === 'project' ? [scope, path] : [scope];
  return { kind, identifier, tags, attributes, places, within: upwards(places.at(-1)!), nowMs: now.getTime() };
}

/** Only what applications check themselves before they ask: that the scope is there and the permission is of the kind. */
function isPlausible(records: AccessRecords, paths: ReadonlySet<string>, { permission, target }: Ask['question']): boolean {
  const verb = permission.slice(target.kind.length + 1);
  return permission === `${target.kind}.${verb}` && paths.has(target.scope) && records.nouns.some(({ name, verbs }) => name === target.kind && verbs.includes(verb));
}

export interface PeerInput {
  readonly records: AccessRecords;
  readonly grants: PlainGrants;
  readonly asks: readonly Ask[];
}

/** CASL: an ability for each principal, kept; a rule for each grant and kind. */
export async function caslReady({ records, grants, asks }: PeerInput): Promise<Ready[]> {
  const { createMongoAbility } = await packages.casl();
  const paths = pathsOf(records);
  const abilities = new Map<string, ReturnType<typeof createMongoAbility>>();
  for (const { principal: { uid, type } } of asks.map(({ asker }) => asker)) {
    if (!abilities.has(uid)) abilities.set(uid, createMongoAbility((grants.of(uid, type) ?? []).flatMap(caslRules), { detectSubjectType: ({ kind }) => kind }));
  }
  return asks.map(({ asker: { principal: { uid } }, question }) => {
    const verb = question.permission.slice(question.permission.indexOf('.') + 1);
    const resource = resourceOf(question);
    return isPlausible(records, paths, question) ? () => abilities.get(uid)!.can(verb, resource) : () => false;
  });
}

function caslRules({ role, scope, includeChildScopes, selectors, binding }: PlainGrant) {
  const place = includeChildScopes ? { within: scope } : { places: scope };
  const life = binding.expiresAtMs === null ? {} : { nowMs: { $lt: binding.expiresAtMs } };
  const verbs = Object.groupBy(role.permissions, (permission) => permission.slice(0, permission.indexOf('.')));
  const wanted: readonly Selector[] = selectors ?? Object.keys(verbs).map((type) => ({ type }));
  return wanted.flatMap(({ type, identifiers, where }) => {
    const held = verbs[type];
    const names = identifiers === undefined ? {} : { identifier: { $in: identifiers } };
    const conditions = Object.fromEntries(Object.entries(where ?? {}).map(([key, spec]) => [key.startsWith('tags.') ? key : `attributes.${key}`, { $in: 'oneOf' in spec ? spec.oneOf : Object.values(spec) }]));
    return held === undefined ? [] : [{ action: held.map((permission) => permission.slice(type.length + 1)), subject: type, conditions: { ...place, ...life, ...names, ...conditions } }];
  });
}

/**
 * Cedar: a preparsed policy set for each principal, a policy for each grant and selector with conditions of its own; the
 * entities go with each call.
 */
export async function cedarReady({ records, grants, asks }: PeerInput): Promise<Ready[]> {
  const { preparsePolicySet, statefulIsAuthorized } = await packages.cedar();
  const paths = pathsOf(records);
  const known = new Set<string>();
  for (const { principal: { uid, type } } of asks.map(({ asker }) => asker)) {
    if (known.size === known.add(uid).size) continue;
    const parsed = preparsePolicySet(uid, { staticPolicies: (grants.of(uid, type) ?? []).flatMap(cedarPolicies).join('\n') });
    if (parsed.type !== 'success') throw new Error(`Cedar does not read the policies: ${JSON.stringify(parsed)}`);
  }
  return asks.map(({ asker: { principal: { uid } }, question }) => {
    const call = { ...cedarRequest(question), principal: { type: 'User', id: uid }, preparsedPolicySetId: uid };
    return isPlausible(records, paths, question) ? () => isCedarAllow(statefulIsAuthorized(call)) : () => false;
  });
}

function isCedarAllow(answer: { readonly type: string; readonly response?: { readonly decision: string; readonly diagnostics: { readonly errors: readonly unknown[] } } }): boolean {
  if (answer.response === undefined || answer.response.diagnostics.errors.length > 0) throw new Error(`Cedar cannot answer: ${JSON.stringify(answer)}`);
  return answer.response.decision === 'allow';
}

function cedarPolicies({ role, scope, includeChildScopes, selectors, binding }: PlainGrant): string[] {
  const text = JSON.stringify;
  const plain = selectors?.filter(({ identifiers, where }) => identifiers === undefined && where === undefined).map(({ type }) => type) ?? null;
  const special = selectors?.filter(({ type }) => plain?.includes(type) === false) ?? [];
  return [{ types: plain, selector: null }, ...special.map((selector) => ({ types: [selector.type], selector }))].flatMap(({ types, selector }) => {
    const held = role.permissions.filter((permission) => types === null || types.includes(permission.slice(0, permission.indexOf('.'))));
    if (held.length === 0) return [];
    const conditions = [
      includeChildScopes ? `resource in Scope::${text(scope)}` : `resource.places.contains(${text(scope)})`,
      ...(binding.expiresAtMs === null ? [] : [`context.now < ${binding.expiresAtMs}`]),
      ...(selector?.identifiers === undefined ? [] : [`resource has identifier && ${text(selector.identifiers)}.contains(resource.identifier)`]),
      ...Object.entries(selector?.where ?? {}).map(([key, spec]) => {
        const field = key.startsWith('tags.') ? key.slice('tags.'.length) : key;
        return `resource has ${field} && ${text('oneOf' in spec ? spec.oneOf : Object.values(spec))}.contains(resource.${field})`;
      }),
    ];
    const actions = held.map((permission) => `Action::${text(permission)}`).join(', ');
    return [`permit(principal, action in [${actions}], resource) when { ${conditions.join(' && ')} };`];
  });
}

function cedarRequest(question: Ask['question']) {
  const { kind, identifier, tags, attributes, places, within, nowMs } = resourceOf(question);
  const resource = { type: kind, id: String(identifier) };
  const scopes = within.map((path) => ({ uid: { type: 'Scope', id: path }, attrs: {}, parents: [parentOf(path) ?? []].flat().map((id) => ({ type: 'Scope', id })) }));
  const attrs = { ...tags, ...attributes, ...(identifier === null ? {} : { identifier }), places };
  const entities = [{ uid: resource, attrs, parents: [{ type: 'Scope', id: within[0]! }] }, ...scopes];
  return { action: { type: 'Action', id: question.permission }, resource, context: { now: nowMs }, entities };
}

export interface CasbinReady {
  readonly sync: readonly Ready[];
  readonly async: readonly (() => Promise<boolean>)[];
}

const casbinModel = `
[request_definition]
r = sub, dom, act
[policy_definition]
p = sub, act
[role_definition]
g = _, _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.act == p.act && g(r.sub, p.sub, r.dom)
`;

/**
 * casbin as its handbook does it: roles in domains, asked for the scope and for those above it. It knows no resource
 * groups, so its questions must be those that need none (`isAnsweredByRolesAlone`).
 */
export async function casbinReady({ records, grants, asks }: PeerInput): Promise<CasbinReady> {
  const { newEnforcer, newModelFromString } = await packages.casbin();
  const enforcer = await newEnforcer(newModelFromString(casbinModel));
  await enforcer.addPolicies(records.roles.flatMap(({ uid, permissions }) => permissions.map((permission) => [uid, permission])));
  const lines = new Map<string, readonly string[]>();
  for (const { uid, type } of records.principals) {
    for (const { binding, role } of grants.of(uid, type) ?? []) if (isLive(binding.expiresAtMs)) lines.set(`${uid} ${role.uid} ${binding.scope}`, [uid, role.uid, binding.scope]);
  }
  await enforcer.addGroupingPolicies([...lines.values()]);
  const requests = asks.map(({ asker: { principal: { uid } }, question: { permission, target } }) => upwards(target.scope).map((scope) => [uid, scope, permission] as const));
  return {
    sync: requests.map((chain) => () => chain.some((request) => enforcer.enforceSync(...request))),
    async: requests.map((chain) => async () => {
      for (const request of chain) if (await enforcer.enforce(...request)) return true;
      return false;
    }),
  };
}

/** True when roles bound at the scope or above give the right answer without looking at resource groups. */
export function isAnsweredByRolesAlone({ records, grants }: Omit<PeerInput, 'asks'>): (ask: Ask, right: boolean) => boolean {
  const paths = pathsOf(records);
  return ({ asker: { principal: { uid, type } }, question }, right) => {
    if (!isPlausible(records, paths, question)) return false;
    const above = upwards(question.target.scope);
    const has = (grants.of(uid, type) ?? []).some(({ binding, role }) => isLive(binding.expiresAtMs) && above.includes(binding.scope) && role.permissions.includes(question.permission));
    return has === right;
  };
}

function isLive(expiresAtMs: number | null): boolean {
  return expiresAtMs === null || now.getTime() < expiresAtMs;
}

function pathsOf(records: AccessRecords): ReadonlySet<string> {
  return new Set([accountScope, ...records.scopes.map(({ path }) => path)]);
}
