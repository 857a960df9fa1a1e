/**
 * Documents as the world would be with them, for those who ask what they would change and may not make the change: faults
 * are those that apply would tell, and nothing is learned of what the caller may not view.
 */
import type { Question } from '#kernel/decision.ts';
import { Rerun } from '#kernel/operation.ts';
import { upwards } from '#kernel/scope.ts';
import type { Entry, World } from '#kernel/world.ts';
import type { Call } from '#platform/call.ts';
import { refuseQuestion } from '#platform/http/refuse.ts';
import { requestOf } from './change-request.ts';
import type { ChangeServices } from './change.ts';
import { planningOf, readKnown } from './change.ts';
import type { ChangeRequest, PlannedChange } from './plan.ts';
import { foresee, targetOf } from './plan.ts';
import type { ChangeBody } from './schema.ts';

/** The world with the documents in it. Only what they change is laid over the caller's world, so who is not concerned is soon found. */
export async function reviewDocuments(services: ChangeServices, call: Call, body: ChangeBody): Promise<World> {
  const request = await requestOf(services, call, body);
  refuseStrangers(call, request);
  const known = await readKnown(services, call.world, request);
  if (known.revision !== call.revision || call.world.revision !== call.revision) throw new Rerun(Math.max(known.revision, call.world.revision));
  const { world } = call;
  const planning = planningOf(services, call);
  // A reference finds what the caller may view and what the documents make: nobody can try names.
  const mayFind = (entry: Entry): boolean => world.get(entry.uid) === undefined || planning.mayView(world.get(entry.uid)!);
  // Values of secrets decide nothing here, and whether one is right is not to be told.
  const { changes } = foresee({ ...planning, mayFind }, request, { ...known, changedSecrets: new Set() });
  const real = changes.filter(isOfConcern);
  return world.overlay(real.map(({ uid, entryAfter }) => (entryAfter === null ? { remove: uid } : { put: entryAfter })));
}

/** What is not there is asked about as a thing without values: whether it is there is for those who could see it if it were. */
function refuseStrangers(call: Call, { saves, deletions }: ChangeRequest): void {
  const { world } = call;
  const questions = [
    ...saves.map(({ kind, scope, identifier }): Question => {
      const entry = world.find(kind, scope, identifier);
      const nearest = upwards(scope).find((at) => world.hasScope(at))!;
      return { permission: `${kind}.view`, target: entry === undefined ? { kind, scope: nearest, identifier, tags: {}, attributes: {} } : targetOf(entry) };
    }),
    ...deletions.map(({ entry }): Question => ({ permission: `${entry.kind}.view`, target: targetOf(entry) })),
  ];
  for (const question of questions) if (!call.decide(question).allowed) throw refuseQuestion(call, question);
  for (const question of questions) call.used(question);
}

/** No right depends on a name, a description or a set. */
function isOfConcern({ action, fields, before, after }: PlannedChange): boolean {
  if (action !== 'update') return action !== 'unchanged';
  return fields.some(({ pointer }) => !['/name', '/description', '/set'].includes(pointer)) || !isSameRefs(before!.refs, after!.refs);
}

function isSameRefs(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  return Object.keys(a).length === Object.keys(b).length && Object.entries(a).every(([pointer, uid]) => b[pointer] === uid);
}
