/**
 * One access check over HTTP: a caller with a personal access token asks what it may do, in a world of a few hundred
 * bindings. Answers per second with 32 connections, against the same framework's route that does nothing. A single
 * caller is the worse case: its rate is counted in one place, and every node has to ask the database there.
 */
import { startTrivialRoute } from './floor/trivial-route.ts';
import { json, postRates, rowsOf, startBenchServer } from './load.ts';
import type { BenchServer, LoadRequest } from './load.ts';
import { benchResult, interleave, runAndPrint } from './result.ts';
import type { BenchResult, BenchRow } from './result.ts';

const rounds = 5;
const orgs = 10;
const projectsPerOrg = 10;
const users = 200;
const questions = 400;
const callers = 100;

interface Question {
  readonly permission: string;
  readonly resource: string;
  readonly allowed: boolean;
}

type Manifest = Readonly<Record<string, unknown>>;

export async function run(): Promise<BenchResult> {
  const [floor, server] = await Promise.all([startTrivialRoute(), startBenchServer()]);
  try {
    await server.call('/manifests:apply', { documents: world() });
    const tokens = await Promise.all(each(callers, (n) => tokenOf(server, n)));
    const asked = manyQuestions();
    await checkAnswers(server, tokens[0]!, asked);
    const trivial = asked.map(({ permission, resource }) => ({ path: '/', headers: json, body: JSON.stringify({ permission, resource }) }));
    const measure = async (name: string, who: readonly string[]): Promise<BenchRow[]> => {
      const requests = requestsOf(server, asked, who);
      return rowsOf(name, { aim: '≥ 0.65×', ...(await interleave({ rounds, candidates: { floor: () => postRates(floor, trivial), ours: () => postRates(server, requests) } })) });
    };
    const rows = [...(await measure('one caller', tokens.slice(0, 1))), ...(await measure(`${callers} callers`, tokens))];
    return benchResult({ name: 'check over HTTP', unit: 'requests per second', rows });
  } finally {
    await Promise.all([floor.stop(), server.stop()]);
  }
}

async function tokenOf(server: BenchServer, n: number): Promise<string> {
  return ((await server.call('/api-tokens', { name: `bench ${n}`, principal: { type: 'user', path: 'u0' } })) as { token: string }).token;
}

/** Each question with a token of its own, as far as there are tokens. */
function requestsOf(server: BenchServer, asked: readonly Question[], tokens: readonly string[]): LoadRequest[] {
  return asked.map(({ permission, resource }, n) => ({
    path: `${server.api}/access:check`, headers: { ...json, authorization: `Bearer ${tokens[n % tokens.length]!}` }, body: JSON.stringify({ permission, resource }),
  }));
}

/** A fast wrong engine does not pass. */
async function checkAnswers(server: BenchServer, token: string, asked: readonly Question[]): Promise<void> {
  for (const { permission, resource, allowed } of asked) {
    const answer = (await server.call('/access:check', { permission, resource }, token)) as { allowed: boolean };
    if (answer.allowed !== allowed) throw new Error(`${permission} on ${resource}: ${answer.allowed ? 'allowed' : 'not allowed'}, but it should be the other way round`);
  }
}

/**
 * User `u0` has what `u<n>` have: the environments of type PreProduction in one organization by a group of groups, and
 * one project by itself. Everybody else's bindings are the noise of a real account.
 */
function world(): Manifest[] {
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
function manyQuestions(): Question[] {
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

function each<T>(count: number, make: (n: number) => T): T[] {
  return Array.from({ length: count }, (_, n) => make(n));
}

if (import.meta.main) await runAndPrint(run);
