/** Questions about access: may this principal do this here, and why. */
import { z } from 'zod';
import type { Reason, Target } from '#kernel/decision.ts';
import { refusal } from '#kernel/errors.ts';
import type { Kinds, Noun } from '#kernel/kind.ts';
import type { AnyOperation } from '#kernel/operation.ts';
import { parseResourcePath } from '#kernel/scope.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { World } from '#kernel/world.ts';
import { entryPath } from '#kernel/world.ts';
import { operation } from '#platform/call.ts';
import type { Call } from '#platform/call.ts';
import { builtinByUid } from './builtins.ts';
import { evaluate } from './evaluate.ts';
import type { Asker } from './grants.ts';

export const accessNoun: Noun = { name: 'access', levels: ['account', 'org', 'project'], verbs: ['explain'] };

const checkBody = z.strictObject({
  principal: z.string().max(600).optional().describe('`user:alice`, `service_account:payments/ci`; absent = the caller'),
  permission: z.string().max(260),
  resource: z.string().max(512).describe('path, e.g. `payments/checkout/recover`'),
});

const reasonView = z.strictObject({
  code: z.string(),
  binding: z.string().optional(),
  groupPath: z.array(z.string()).optional(),
  role: z.string().optional(),
  resourceGroup: z.string().optional(),
  condition: z.string().optional(),
});

const checkAnswer = z.strictObject({ allowed: z.boolean(), reasons: z.array(reasonView), revision: z.number().int() });

export function questionOperations(kinds: Kinds): AnyOperation[] {
  const check = operation({
    name: 'access.check',
    summary: 'Whether a principal may do something to a resource, and why; about others and near misses with `access.explain`',
    method: 'POST',
    path: '{account}/access:check',
    input: { body: checkBody },
    output: checkAnswer,
    access: { shape: 'self' },
    audit: null,
    dialect: 'api',
    prepare: async (call, { body }) => answer(call, kinds, body),
  });
  return [check];
}

function answer(call: Call, kinds: Kinds, body: z.infer<typeof checkBody>): z.infer<typeof checkAnswer> {
  const place = parseResourcePath(body.resource);
  if (place === null) throw refusal('request.invalid', { errors: [{ pointer: '/resource', message: 'must be a path such as `payments/checkout/recover`' }] });
  const explains = mayExplain(call, place.scope);
  if (body.principal !== undefined && !explains) throw refusal('access.not_found', { evidence: { permission: 'access.explain', scope: place.scope } });
  const asker = body.principal === undefined ? call.caller : askerOf(call, body.principal);
  if (asker === null) return { allowed: false, reasons: [{ code: 'unknown_principal' }], revision: call.world.revision };
  const target = targetAt(call.world, kinds, body.permission, place);
  const decision = evaluate(call.world, kinds, asker, { permission: body.permission, target }, call.now);
  const reasons = decision.allowed || explains ? decision.reasons : [];
  return { allowed: decision.allowed, reasons: reasons.map((reason) => readable(call.world, reason)), revision: decision.revision };
}

function mayExplain(call: Call, scope: ScopePath): boolean {
  return call.decide({ permission: 'access.explain', target: { kind: 'access', scope, identifier: null, tags: {}, attributes: {} } }).allowed;
}

/** A principal as it would call without any bound. */
function askerOf(call: Call, text: string): Asker | null {
  const colon = text.indexOf(':');
  const type = text.slice(0, colon);
  const place = parseResourcePath(text.slice(colon + 1));
  if ((type !== 'user' && type !== 'service_account') || place === null) {
    throw refusal('request.invalid', { errors: [{ pointer: '/principal', message: 'must be `user:alice` or `service_account:payments/ci`' }] });
  }
  const entry = call.world.find(type, place.scope, place.identifier);
  return entry === undefined ? null : { accountId: call.account.id, principal: { type, uid: entry.uid, path: entryPath(entry) }, bounds: 'principal' };
}

/** The resource as stored; one that is not there counts as a draft without tags. */
function targetAt(world: World, kinds: Kinds, permission: string, place: { scope: ScopePath; identifier: string }): Target {
  const kind = kinds.permission(permission)?.noun.name ?? permission.slice(0, permission.indexOf('.'));
  const entry = world.find(kind, place.scope, place.identifier);
  return { kind, ...place, tags: entry?.tags ?? {}, attributes: entry?.attributes ?? {} };
}

function readable(world: World, reason: Reason): z.infer<typeof reasonView> {
  const name = (uid: string): string => {
    const entry = builtinByUid(uid) ?? world.get(uid);
    return entry === undefined ? uid : entryPath(entry);
  };
  return {
    code: reason.code,
    ...(reason.binding === undefined ? {} : { binding: name(reason.binding) }),
    ...(reason.groupPath === undefined ? {} : { groupPath: reason.groupPath.map(name) }),
    ...(reason.role === undefined ? {} : { role: name(reason.role) }),
    ...(reason.resourceGroup === undefined ? {} : { resourceGroup: name(reason.resourceGroup) }),
    ...(reason.condition === undefined ? {} : { condition: reason.condition }),
  };
}
