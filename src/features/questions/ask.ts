/** One question from its words to its answer; everything that asks goes through here. */
import { builtinByUid, evaluate } from '#features/access/feature.ts';
import type { Asker } from '#features/access/feature.ts';
import type { Check, Decision, Reason, Target } from '#kernel/decision.ts';
import type { Kinds } from '#kernel/kind.ts';
import type { Plan } from '#kernel/operation.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { World } from '#kernel/world.ts';
import { entryPath } from '#kernel/world.ts';
import type { Call } from '#platform/call.ts';
import type { z } from 'zod';
import type { reasonView } from './schema.ts';

/** A target that is the scope itself, for permissions about what has no documents. */
export function accessAt(scope: ScopePath): Target {
  return { kind: 'access', scope, identifier: null, tags: {}, attributes: {} };
}

export function mayExplain(call: Call, scope: ScopePath): boolean {
  return call.decide({ permission: 'access.explain', target: accessAt(scope) }).allowed;
}

/** Asking about others is a right in the scope of what is asked about; those who may explain may ask. */
export function mayAsk(call: Call, scope: ScopePath): boolean {
  return call.decide({ permission: 'access.check', target: accessAt(scope) }).allowed || mayExplain(call, scope);
}

/** Of a plan whose questions are about others, in these scopes; about oneself anybody may ask. */
export function askingPlan<F>(call: Call, found: F, { others, scopes }: { readonly others: boolean; readonly scopes: readonly ScopePath[] }): Plan<F> {
  const asked = others ? [...new Set(scopes)].filter((scope) => !mayAsk(call, scope)) : [];
  const checks = asked.map((scope): Check => ({ ask: 'permission', permission: 'access.check', target: accessAt(scope), world: 'before' }));
  return { checks, before: call.world, after: call.world, found };
}

/** Nobody is denied everything. */
export function answerTo(call: Call, kinds: Kinds, asker: Asker | null, question: { readonly permission: string; readonly target: Target }): Decision {
  if (asker === null) return { allowed: false, reasons: [{ code: 'unknown_principal' }], revision: call.world.revision };
  return evaluate(call.world, kinds, asker, question, call.now);
}

/** A reason in words of paths. */
export function readable(world: World, reason: Reason): z.infer<typeof reasonView> {
  const { code, binding, groupPath, role, resourceGroup, condition } = reason;
  return {
    code,
    ...(binding === undefined ? {} : { binding: nameOf(world, binding) }),
    ...(groupPath === undefined ? {} : { groupPath: groupPath.map((uid) => nameOf(world, uid)) }),
    ...(role === undefined ? {} : { role: nameOf(world, role) }),
    ...(resourceGroup === undefined ? {} : { resourceGroup: nameOf(world, resourceGroup) }),
    ...(condition === undefined ? {} : { condition }),
  };
}

/** Path of what a uid means; one that means nothing any more stays as it is. */
export function nameOf(world: World, uid: string): string {
  const entry = builtinByUid(uid) ?? world.get(uid);
  return entry === undefined ? uid : entryPath(entry);
}
