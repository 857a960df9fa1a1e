/** What conditions can read of who asks: claims of a session, and what the account knows of a principal. */
import type { WorkloadEvidence } from '#kernel/caller.ts';
import type { MatchContext } from '#kernel/matcher.ts';
import { readPointer } from '#kernel/matcher.ts';
import type { Entry } from '#kernel/world.ts';
import { entryPath } from '#kernel/world.ts';

/** A user or service account. Tags count as `tags.<key>`, all of them as `tags`; what is not known is missing. */
export function contextOfPerson(person: Entry): MatchContext {
  return { claim: () => undefined, principal: (name) => knownOf(person, name) };
}

export function contextOfWorkload({ claims, issuer, subject }: WorkloadEvidence): MatchContext {
  const known: ReadonlyMap<string, string> = new Map([['type', 'workload'], ['identifier', subject], ['path', subject], ['issuer', issuer]]);
  return { claim: (pointer) => readPointer(claims, pointer), principal: (name) => known.get(name) };
}

function knownOf(person: Entry, name: string): unknown {
  if (name === 'identifier') return person.identifier;
  if (name === 'path') return entryPath(person);
  if (name === 'type') return person.kind;
  if (name === 'tags') return person.tags;
  if (name === 'email') return (person.facts as { readonly email?: string }).email;
  const key = name.startsWith('tags.') ? name.slice(5) : null;
  return key !== null && Object.hasOwn(person.tags, key) ? person.tags[key] : undefined;
}
