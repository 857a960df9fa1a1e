/** What a run wants to use (secrets, connectors, environments, services), and whether it may, now. */
import { isUsableFrom, useQuestions } from '#features/connectors/schema.ts';
import type { Decision, Question } from '#kernel/decision.ts';
import { resolveReference } from '#kernel/reference.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { Entry, World } from '#kernel/world.ts';

export type Wanted = { readonly kind: string; readonly reference: string };

export type Use =
  | { readonly allowed: true; readonly entry: Entry; readonly question: Question }
  | { readonly allowed: false; readonly message: string; readonly entry: Entry | null; readonly question: Question | null };

/** Kinds meant for use from below; the others are used in their own scope alone. */
const reachesDown = new Set(['connector', 'secret']);

/**
 * One text for what is not there, not usable from here and not allowed: the caller learns only that the run may not use
 * it; the audit has the question.
 */
export function decideUse(world: World, wanted: Wanted, scope: ScopePath, decide: (question: Question) => Decision): Use {
  const message = `the run may not use ${wanted.kind} \`${wanted.reference}\`, or it does not exist`;
  const place = resolveReference(wanted.reference, scope);
  const entry = place === null ? undefined : world.find(wanted.kind, place.scope, place.identifier);
  if (entry === undefined) return { allowed: false, message, entry: null, question: null };
  const usable = reachesDown.has(entry.kind) ? isUsableFrom(entry, scope) : entry.scope === scope;
  const questions = useQuestions(entry, scope);
  if (!usable) return { allowed: false, message, entry, question: questions[0]! };
  const allowed = questions.find((question) => decide(question).allowed);
  return allowed === undefined ? { allowed: false, message, entry, question: questions[0]! } : { allowed: true, entry, question: allowed };
}
