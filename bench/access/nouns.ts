/** 22 kinds with 7 verbs each: 154 permissions. A list of its own, so that figures stay comparable when the product grows a kind. */
import type { Noun } from '#kernel/kind.ts';
import type { Level } from '#kernel/scope.ts';

const verbs = ['view', 'create', 'edit', 'delete', 'govern', 'access', 'execute'] as const;
const everywhere: readonly Level[] = ['account', 'org', 'project'];

function nounsAt(levels: readonly Level[], names: readonly string[]): Noun[] {
  return names.map((name) => ({ name, levels, verbs }));
}

export const nouns: readonly Noun[] = [
  ...nounsAt(['account'], ['organization', 'user', 'trusted_issuer']),
  ...nounsAt(['org'], ['project']),
  ...nounsAt(everywhere, [
    'role', 'resource_group', 'role_binding', 'user_group', 'service_account', 'connector', 'secret', 'template', 'environment',
    'service', 'runner', 'variable', 'policy', 'dashboard',
  ]),
  ...nounsAt(['project'], ['pipeline', 'trigger', 'input_set', 'artifact']),
];

const depths: Readonly<Record<Level, number>> = { account: 0, org: 1, project: 2 };

/** The kinds whose resources can be met at the level or below it; organizations and projects also in themselves. */
export function nounsFrom(level: Level): Noun[] {
  const opens: Readonly<Record<string, Level>> = { organization: 'org', project: 'project' };
  return nouns.filter(({ name, levels }) => [...levels, opens[name] ?? []].flat().some((at) => depths[at] >= depths[level]));
}

export function permissionsOf(noun: Noun): string[] {
  return noun.verbs.map((verb) => `${noun.name}.${verb}`);
}

export function isRoleUsableAt(role: { readonly level: Level }, level: Level): boolean {
  return depths[level] >= depths[role.level];
}
