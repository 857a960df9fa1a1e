/** One question from its words to its answer; everything that asks goes through here. */
import { builtinByUid, evaluate } from '#features/access/feature.ts';
import type { Asker } from '#features/access/feature.ts';
import type { Check, Decision, Question, Reason, Target } from '#kernel/decision.ts';
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

/** Asking about others is a right in the scope of what is asked about; those who may explain may ask. Null = may not. */
export function rightToAsk(call: Call, scope: ScopePath): Question | null {
  const target = accessAt(scope);
  return [{ permission: 'access.check', target }, { permission: 'access.explain', target }].find((question) => call.decide(question).allowed) ?? null;
}

/** Of a plan whose questions are about others, in these scopes; about oneself anybody may ask. */
export function askingPlan<F>(call: Call, found: F, { others, scopes }: { readonly others: boolean; readonly scopes: readonly ScopePath[] }): Plan<F> {
  const asked = others ? [...new Set(scopes)].map((scope) => rightToAsk(call, scope) ?? { permission: 'access.check', target: accessAt(scope) }) : [];
  const checks = asked.map((question): Check => ({ ask: 'permission', ...question, world: 'before' }));
  return { checks, before: call.world, after: call.world, found };
}

/** Nobody is denied everything. */
export function answerTo(call: Call, kinds: Kinds, asker: Asker | null, question: { readonly permission: string; readonly target: Target }): Decision {
  if (asker === null) return { allowed: false, reasons: [{ code: 'unknown_principal' }], revision: call.world.revision };
  return evaluate(call.world, kinds, asker, question, call.now);
}

/**
 * An application asks before it lets somebody do something, so what it is told may be done counts as used. Of our own kinds
 * nothing is done by asking.
 */
export function noteAsked({ kinds, used }: { readonly kinds: Kinds; readonly used: NoteUse }, call: Call, asker: Asker | null, question: Question, { allowed }: Decision): void {
  if (allowed && asker !== null && kinds.of(call.world).nouns.get(question.target.kind)?.external !== undefined) used(asker, question, call.now);
}

/** Remembers that somebody made use of a permission. */
export type NoteUse = (who: Asker, question: Question, now: Date) => void;

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
