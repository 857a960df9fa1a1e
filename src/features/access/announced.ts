/**
 * Words of what comes later. Roles can name their permissions now, and administrators hold them already, so that nobody's
 * rights change on the day the thing is there. A kind that arrives takes its word from here into its own record.
 */
import type { Level } from '#kernel/scope.ts';
import type { Noun } from '#kernel/kind.ts';

const everywhere: readonly Level[] = ['account', 'org', 'project'];
const documents = ['view', 'create', 'edit', 'delete'];

export const announced: readonly Noun[] = [
  { name: 'secret_manager', levels: everywhere, verbs: [...documents, 'access', 'govern'] },
  { name: 'trigger', levels: ['project'], verbs: [...documents, 'govern'] },
  { name: 'policy', levels: everywhere, verbs: [...documents, 'govern'] },
  { name: 'policy_set', levels: everywhere, verbs: [...documents, 'evaluate', 'govern'] },
  { name: 'setting', levels: everywhere, verbs: ['view', 'edit'] },
];

const names: ReadonlySet<string> = new Set(announced.map(({ name }) => name));

/** True for a kind of which nobody can make use yet. */
export function isAnnounced({ name }: Noun): boolean {
  return names.has(name);
}
