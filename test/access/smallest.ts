/** A disagreement made small: documents are taken away while the two still differ. */
import { evaluate } from '#features/access/feature.ts';
import { World } from '#kernel/world.ts';
import type { History } from './history.ts';
import { naiveAnswer } from './naive-evaluator.ts';
import type { RandomQuestion } from './random-question.ts';

/** What is left, as text to make a case of. A difference that a freshly loaded world does not show keeps its history. */
export function smallest(history: History, question: RandomQuestion): string {
  const all = history.loadedFresh();
  let kept = history.documents.map(({ uid }) => uid);
  const differ = (uids: readonly string[]): boolean => {
    const now = new Date(question.nowMs);
    const { naive, engine } = history.askers(question);
    const world = new World(all.accountId, all.revision, uids.map((uid) => all.get(uid)!));
    const documents = history.documents.filter(({ uid }) => uids.includes(uid));
    const decision = evaluate(world, history.kinds, engine, question, now);
    const expected = naiveAnswer({ ...history.naive, documents }, naive, { ...question, now });
    return decision.allowed !== expected.allowed || (decision.allowed && !expected.by.has(decision.reasons[0]!.binding!));
  };
  const said = JSON.stringify(question, null, 1);
  if (!differ(kept)) return `only this history shows it: ${said}`;
  for (const uid of kept) {
    const fewer = kept.filter((other) => other !== uid);
    if (differ(fewer)) kept = fewer;
  }
  const left = history.documents.filter(({ uid }) => kept.includes(uid)).map(({ uid, document }) => JSON.stringify({ uid, ...document }));
  return `${said}\nasked of\n${left.join('\n')}`;
}
