/** Roles, resource groups and user groups every account has. They are found here, not in a world, and cannot be changed or shadowed. */
import type { Level } from '#kernel/scope.ts';
import { accountScope } from '#kernel/scope.ts';
import type { Entry } from '#kernel/world.ts';
import { allUsersGroup, isAllUsers } from './all-users.ts';
import type { GroupFacts, ResourceGroupFacts, RoleFacts } from './schema.ts';

export const accountAdminUid = 'builtin:role:account_admin';
export const everythingUid = 'builtin:resource_group:all_resources_including_child_scopes';

/** Permissions of kinds that do not exist are nobody's until they do. */
function every(kind: string, ...verbs: string[]): string[] {
  return verbs.map((verb) => `${kind}.${verb}`);
}

const documents = ['view', 'create', 'edit', 'delete'];
/** Whoever administers a part has to find its way there. */
const surroundings = ['organization.view', 'project.view'];

/** `pipeline.execute` and what a run touches. */
const pipelineExecutor: ReadonlySet<string> = new Set([
  ...every('pipeline', 'view', 'execute'),
  ...every('execution', 'view', 'abort'),
  ...['secret', 'connector', 'service', 'environment', 'template'].flatMap((kind) => every(kind, 'view', 'access')),
]);

const auditReader: ReadonlySet<string> = new Set([...surroundings, ...every('audit', 'view'), ...every('session', 'view')]);

/** Binds what it holds itself; what else it may bind is said by `role.bind` in a role of its own. */
const accessManager: ReadonlySet<string> = new Set([
  ...surroundings,
  ...['role', 'resource_group', 'role_binding', 'user_group'].flatMap((kind) => every(kind, ...documents)),
  ...every('user', 'view'),
  ...every('service_account', 'view'),
  ...every('access', 'explain'),
]);

/** Keeps secrets and cannot use them. */
const secretManager: ReadonlySet<string> = new Set([
  ...surroundings,
  ...['secret', 'secret_manager'].flatMap((kind) => every(kind, ...documents)),
]);

/** A runner sees what its steps use, so whoever brings one must hold the use of it. */
const runnerManager: ReadonlySet<string> = new Set([
  ...surroundings,
  ...every('runner', ...documents),
  ...every('secret', 'access'),
  ...every('connector', 'access'),
]);

const federationManager: ReadonlySet<string> = new Set([
  ...surroundings,
  ...['trusted_issuer', 'claim_mapping'].flatMap((kind) => every(kind, ...documents)),
  ...every('session', 'view', 'delete'),
  ...every('role', 'view'),
  ...every('resource_group', 'view'),
  ...every('access', 'explain'),
]);

/** Who is in it follows from bindings; nobody is written down. */
const noMembers: GroupFacts = { members: [] };

const entries: readonly Entry[] = [
  role('account_admin', 'Account Admin', { level: 'account', permissions: 'every' }),
  role('org_admin', 'Organization Admin', { level: 'org', permissions: 'every' }),
  role('project_admin', 'Project Admin', { level: 'project', permissions: 'every' }),
  role('account_viewer', 'Account Viewer', { level: 'account', permissions: 'every_view' }),
  role('org_viewer', 'Organization Viewer', { level: 'org', permissions: 'every_view' }),
  role('project_viewer', 'Project Viewer', { level: 'project', permissions: 'every_view' }),
  role('pipeline_executor', 'Pipeline Executor', { level: 'project', permissions: pipelineExecutor }),
  role('audit_reader', 'Audit Reader', { level: 'account', permissions: auditReader }),
  role('access_manager', 'Access Manager', { level: 'account', permissions: accessManager }),
  role('secret_manager', 'Secret Manager', { level: 'account', permissions: secretManager }),
  role('runner_manager', 'Runner Manager', { level: 'account', permissions: runnerManager }),
  role('federation_manager', 'Federation Manager', { level: 'account', permissions: federationManager }),
  group('all_account_level_resources', 'All Account Level Resources', 'account', false),
  group('all_org_level_resources', 'All Organization Level Resources', 'org', false),
  group('all_project_level_resources', 'All Project Level Resources', 'project', false),
  group('all_resources_including_child_scopes', 'All Resources Including Child Scopes', null, true),
  entry('user_group', allUsersGroup.account, 'All Account Users', noMembers),
  entry('user_group', allUsersGroup.org, 'All Organization Users', noMembers),
  entry('user_group', allUsersGroup.project, 'All Project Users', noMembers),
];

const byUid: ReadonlyMap<string, Entry> = new Map(entries.map((entry) => [entry.uid, entry]));

/** What a reference to `identifier` means from any scope, before custom resources are looked at. */
export function builtin(kind: string, identifier: string): Entry | undefined {
  return byUid.get(`builtin:${kind}:${identifier}`);
}

/** Of the group of all users of some place, the group as documents name it. */
export function builtinByUid(uid: string): Entry | undefined {
  return byUid.get(uid) ?? (isAllUsers(uid) ? byUid.get(uid.slice(0, uid.lastIndexOf(':'))) : undefined);
}

/** Such an identifier cannot be given to a custom resource of the kind, at any scope. */
export function isBuiltinIdentifier(kind: string, identifier: string): boolean {
  return builtin(kind, identifier) !== undefined;
}

export function builtins(kind: string): readonly Entry[] {
  return entries.filter((entry) => entry.kind === kind);
}

function role(identifier: string, name: string, facts: RoleFacts): Entry {
  return entry('role', identifier, name, facts);
}

function group(identifier: string, name: string, onlyAt: Level | null, includeChildScopes: boolean): Entry {
  const facts: ResourceGroupFacts = { ranges: { onlyAt, includeChildScopes }, resources: 'all' };
  return entry('resource_group', identifier, name, facts);
}

function entry(kind: string, identifier: string, name: string, facts: unknown): Entry {
  return { uid: `builtin:${kind}:${identifier}`, kind, scope: accountScope, identifier, name, version: 1, tags: {}, attributes: {}, facts };
}
