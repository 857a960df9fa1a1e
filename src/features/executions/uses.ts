/** What a run wants to use (secrets, connectors, environments, services), and whether it may, now. */
import { isUsableFrom, useQuestions } from '#features/connectors/schema.ts';
import type { Decision, Question } from '#kernel/decision.ts';
import type { FieldError, Refusal } from '#kernel/errors.ts';
import { refusal } from '#kernel/errors.ts';
import { resolveReference } from '#kernel/reference.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { Entry, World } from '#kernel/world.ts';

/** Who wants to use something, and from where. */
export interface Using {
  readonly world: World;
  readonly scope: ScopePath;
  readonly decide: (question: Question) => Decision;
}

export interface Wanted {
  readonly kind: string;
  readonly reference: string;
  /** Where the pipeline names it. */
  readonly pointer?: string;
}

/** The question that allowed it is the one to ask again. */
export interface Use {
  readonly entry: Entry;
  readonly question: Question;
}

/** Kinds meant for use from below; the others are used in their own scope alone. */
const reachesDown = new Set(['connector', 'secret']);

/** What a reference names. Refuses alike what is not there, what is not usable from here and what is not allowed. */
export function useOf(using: Using, wanted: Wanted): Use {
  const place = resolveReference(wanted.reference, using.scope);
  return allowed(using, wanted, place === null ? undefined : using.world.find(wanted.kind, place.scope, place.identifier));
}

/** What was resolved when the run began; another one that has its name since is not it. */
export function useAgain(using: Using, known: { readonly kind: string; readonly uid: string; readonly identifier: string }): Use {
  const entry = using.world.get(known.uid);
  return allowed(using, { kind: known.kind, reference: known.identifier }, entry?.kind === known.kind ? entry : undefined);
}

function allowed(using: Using, wanted: Wanted, entry: Entry | undefined): Use {
  const { scope } = using;
  if (entry === undefined || !(reachesDown.has(entry.kind) ? isUsableFrom(entry, scope) : entry.scope === scope)) throw notUsable(using, wanted);
  const question = useQuestions(entry, scope).find((each) => using.decide(each).allowed);
  if (question === undefined) throw notUsable(using, wanted);
  return { entry, question };
}

/** The audit, too, is read by some who may not know whether it is there. */
function notUsable({ scope }: Using, { kind, reference, pointer }: Wanted): Refusal {
  const message = `the run may not use ${kind} \`${reference}\`, or it does not exist`;
  const errors: FieldError[] = pointer === undefined ? [] : [{ pointer: `/spec${pointer}`, message }];
  return refusal('access.denied', { say: message, errors, evidence: { permission: `${kind}.access`, kind, scope, reference } });
}
