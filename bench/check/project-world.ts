/** The world that is asked about over HTTP, and questions whose answers are known. */

const orgs = 10;
const projectsPerOrg = 10;
export const users = 200;
const questions = 400;

export interface Question {
  readonly permission: string;
  readonly resource: string;
  readonly allowed: boolean;
}

type Manifest = Readonly<Record<string, unknown>>;

/**
 * User `u0` has what `u<n>` have: the environments of type PreProduction in one organization by a group of groups, and
 * one project by itself. Everybody else's bindings are the noise of a real account.
 */
export function world(): Manifest[] {
  const documents: Manifest[] = [
    { kind: 'Role', identifier: 'deployer', spec: { level: 'org', permissions: ['environment.view', 'environment.access', 'pipeline.view', 'pipeline.execute'] } },
    ...each(users, (n) => ({ kind: 'User', identifier: `u${n}`, spec: { email: `u${n}@example.com` } })),
  ];
  for (const org of each(orgs, (n) => `org${n}`)) {
    documents.push(
      { kind: 'Organization', identifier: org, spec: {} },
      { kind: 'ResourceGroup', scope: org, identifier: 'test_environments', spec: { includeChildScopes: true, resources: [{ type: 'environment', where: { type: { equals: 'PreProduction' } } }] } },
    );
    for (const project of each(projectsPerOrg, (n) => `p${n}`)) {
      const scope = `${org}/${project}`;
      documents.push(
        { kind: 'Project', scope: org, identifier: project, spec: {} },
        { kind: 'Environment', scope, identifier: 'test', spec: { type: 'PreProduction' } },
        { kind: 'Environment', scope, identifier: 'prod', spec: { type: 'Production' } },
      );
    }
  }
  return [...documents, ...grants()];
}

function grants(): Manifest[] {
  return each(users, (n): Manifest[] => {
    const org = `org${n % orgs}`;
    const scope = `${org}/p${n % projectsPerOrg}`;
    const principal = { type: 'user', id: `u${n}` };
    return [
      { kind: 'UserGroup', scope: org, identifier: `team${n}`, spec: { members: [principal] } },
      { kind: 'UserGroup', scope: org, identifier: `department${n}`, spec: { members: [{ type: 'user_group', id: `team${n}` }] } },
      { kind: 'RoleBinding', scope: org, identifier: `department${n}`, spec: { principal: { type: 'user_group', id: `department${n}` }, role: 'account.deployer', resourceGroup: 'test_environments' } },
      { kind: 'RoleBinding', scope, identifier: `owner${n}`, spec: { principal, role: 'project_admin', resourceGroup: 'all_project_level_resources' } },
    ];
  }).flat();
}

/** Allowed are: everything in project org0/p0, and access to test environments in org0. */
export function manyQuestions(): Question[] {
  const permissions = ['environment.access', 'environment.edit', 'pipeline.execute', 'environment.view'];
  return each(questions, (n) => {
    const [org, project] = [`org${Math.floor(n / 8) % 2}`, `p${Math.floor(n / 16) % projectsPerOrg}`];
    const environment = n % 2 === 0 ? 'test' : 'prod';
    const permission = permissions[Math.floor(n / 2) % permissions.length]!;
    const isOwn = org === 'org0' && project === 'p0';
    const isTest = org === 'org0' && environment === 'test' && ['environment.access', 'environment.view'].includes(permission);
    return { permission, resource: `${org}/${project}/${environment}`, allowed: isOwn || isTest };
  });
}

export function each<T>(count: number, make: (n: number) => T): T[] {
  return Array.from({ length: count }, (_, n) => make(n));
}

/** What `u0` has, as an application would look it up for an engine that knows nobody's bindings. */
export const grantsOfFirst = [
  { scope: 'org0', below: true, permissions: ['environment.access', 'environment.view'], type: 'PreProduction' },
  { scope: 'org0/p0', below: false, permissions: ['environment.access', 'environment.edit', 'environment.view', 'pipeline.execute'] },
];

/** Kind, verb, place and name of a question, and the attribute of the resource, as whoever asks such an engine has to know them. */
export function partsOf({ permission, resource }: Question) {
  const [kind, verb] = permission.split('.') as [string, string];
  const [identifier] = resource.split('/').slice(-1) as [string];
  const attributes = kind !== 'environment' ? {} : { type: identifier === 'test' ? 'PreProduction' : 'Production' };
  return { kind, verb, identifier, scope: resource.slice(0, -identifier.length - 1), attributes };
}
