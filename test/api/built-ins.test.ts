/** What is built in stays what it is, whatever an administrator of everything tries, at every level. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { builtins } from '#features/access/builtins.ts';
import { collectionOf, manifestKind } from '#kernel/kind.ts';
import type { RemoteAnswer } from '#platform/remote.ts';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { problem } from './answers.ts';
import { auditMark, told } from './audit-rows.ts';
import { scopeApi, userDocuments } from './principals.ts';

let server: TestServer;

type Document = Record<string, unknown>;

const kinds = ['role', 'resource_group', 'user_group'];
const scopes = ['/', 'payments', 'payments/checkout'];
const everything = 'all_resources_including_child_scopes';
/** A document that would be fine under another name. */
const specs: Readonly<Record<string, object>> = {
  role: { level: 'project', permissions: ['secret.view'] },
  resource_group: { resources: [] },
  user_group: { members: [] },
};

const binding = (identifier: string, principal: object, role: string, resourceGroup: string, scope: string): Document => (
  { kind: 'RoleBinding', scope, identifier, spec: { principal, role, resourceGroup } }
);

const holders = builtins('role').map(({ identifier }) => `holder_of_${identifier}`);

/** Every role has a holder of its own, and every group is bound, so that a change of any would be seen in what somebody can do. */
const world: readonly Document[] = [
  { kind: 'Organization', identifier: 'payments', spec: {} },
  { kind: 'Project', scope: 'payments', identifier: 'checkout', spec: {} },
  ...holders.flatMap((holder) => userDocuments(holder)),
  ...builtins('role').map(({ identifier }, i) => binding(`role_${i}`, { type: 'user', id: holders[i]! }, identifier, everything, 'payments/checkout')),
  ...scopes.flatMap((scope, i) => {
    const level = ['account', 'org', 'project'][i]!;
    const group = { type: 'user_group', id: `all_${level}_users` };
    return [binding(`users_${level}`, group, 'audit_reader', `all_${level}_level_resources`, scope)];
  }),
];

const send = (method: string, path: string, body?: unknown): Promise<RemoteAnswer> => server.call({ method, path, ...(body === undefined ? {} : { body }) });
const apply = (documents: readonly Document[], more: object = {}): Promise<RemoteAnswer> => send('POST', `${server.api}/manifests:apply`, { documents, ...more });

before(async () => {
  server = await startTestServer();
  await server.apply(world);
});

/** What the holders can do is what all of it means. */
async function meaning(): Promise<readonly string[]> {
  const lines = await Promise.all(holders.map(async (holder) => {
    const answer = await send('POST', `${server.api}/access:whatCan`, { principal: `user:${holder}`, limit: 200 });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    const { items } = answer.body as { items: readonly { kind: string; id: string; permissions: readonly string[] }[] };
    assert.ok(items.length > 2);
    return items.map(({ kind, id, permissions }) => `${holder}: ${kind} ${id}: ${permissions.join()}`);
  }));
  return lines.flat();
}

interface Attempt {
  readonly how: string;
  readonly code: string;
  readonly status: number;
  readonly ask: (kind: string, identifier: string, scope: string) => Promise<RemoteAnswer>;
}

const at = (kind: string, scope: string): string => `${scopeApi(server, scope)}/${collectionOf(kind)}`;
const document = (kind: string, identifier: string, scope: string): Document => ({ kind: manifestKind(kind), scope, identifier, spec: specs[kind]! });

const attempts: readonly Attempt[] = [
  { how: 'created under its identifier', status: 409, code: 'resource.built_in', ask: (kind, identifier, scope) => send('POST', at(kind, scope), { identifier, spec: specs[kind] }) },
  { how: 'applied over', status: 409, code: 'resource.built_in', ask: (kind, identifier, scope) => apply([document(kind, identifier, scope)]) },
  { how: 'planned over', status: 409, code: 'resource.built_in', ask: (kind, identifier, scope) => send('POST', `${server.api}/manifests:plan`, { documents: [document(kind, identifier, scope)] }) },
  { how: 'taken into a set, for its prune to delete', status: 409, code: 'resource.built_in', ask: (kind, identifier, scope) => apply([document(kind, identifier, scope)], { set: 'mine', prune: true }) },
  { how: 'changed', status: 404, code: 'access.not_found', ask: (kind, identifier, scope) => send('PUT', `${at(kind, scope)}/${identifier}`, { spec: specs[kind] }) },
  { how: 'deleted', status: 404, code: 'access.not_found', ask: (kind, identifier, scope) => send('DELETE', `${at(kind, scope)}/${identifier}`) },
  { how: 'deleted with what refers to it', status: 404, code: 'access.not_found', ask: (kind, identifier, scope) => send('DELETE', `${at(kind, scope)}/${identifier}?cascade=true`) },
];

describe('what is built in cannot be changed, deleted or shadowed', () => {
  for (const kind of kinds) {
    for (const { identifier } of builtins(kind)) {
      test(`${kind} \`${identifier}\``, async () => {
        const [was, since] = [await meaning(), await auditMark(server)];
        for (const scope of scopes) {
          for (const { how, status, code, ask } of attempts) {
            const answer = await ask(kind, identifier, scope);
            assert.equal(answer.status, status, `${how} at ${scope}: ${JSON.stringify(answer.body)}`);
            problem(answer, status, code);
          }
          const list = await send('GET', at(kind, scope));
          assert.deepEqual((list.body as { items: unknown[] }).items, [], 'what is built in is in no list, and nothing took its name');
        }
        assert.deepEqual(await meaning(), was, 'it means what it meant');
        assert.deepEqual(told(await since()).filter(({ outcome }) => outcome !== 'refused'), [], 'nothing was done');
      });
    }
  }

  test('nor is any of it in what a set leaves behind', async () => {
    const was = await meaning();
    const own = binding('pruned', { type: 'user_group', id: 'all_project_users' }, 'project_viewer', 'all_project_level_resources', 'payments/checkout');
    assert.equal((await apply([own], { set: 'brief' })).status, 200);
    assert.equal((await apply([{ kind: 'UserGroup', identifier: 'kept', spec: { members: [] } }], { set: 'brief', prune: true })).status, 200);
    assert.equal((await send('GET', `${at('role_binding', 'payments/checkout')}/pruned`)).status, 404);
    assert.equal((await send('DELETE', `${server.api}/user-groups/kept`)).status, 204);
    assert.deepEqual(await meaning(), was);
  });

  test('nor does any of it go with a scope it is bound in', async () => {
    const scope = 'brief';
    await server.apply([
      { kind: 'Organization', identifier: scope, spec: {} },
      binding('role', { type: 'user', id: holders[0]! }, 'org_admin', 'all_org_level_resources', scope),
      binding('users', { type: 'user_group', id: 'all_org_users' }, 'org_viewer', everything, scope),
    ]);
    const was = await meaning();
    assert.equal((await send('DELETE', `${server.api}/organizations/${scope}?cascade=true`)).status, 204);
    const left = (lines: readonly string[]): string[] => lines.filter((line) => !line.includes('brief'));
    assert.deepEqual(left(await meaning()), left(was));
  });

  test('a document of another kind may have its name and takes nothing from it', async () => {
    const was = await meaning();
    await server.apply([
      { kind: 'UserGroup', scope: 'payments/checkout', identifier: 'project_viewer', spec: { members: [] } },
      { kind: 'Role', scope: 'payments/checkout', identifier: 'all_project_users', spec: { level: 'project', permissions: [] } },
      { kind: 'ResourceGroup', scope: 'payments/checkout', identifier: 'account_admin', spec: { resources: [] } },
      // Said again, they mean what they meant.
      ...world.filter(({ kind }) => kind === 'RoleBinding'),
    ]);
    const mine = (lines: readonly string[]): string[] => lines.filter((line) => !/checkout\/(?:project_viewer|all_project_users|account_admin):/.test(line));
    assert.deepEqual(mine(await meaning()), was);
  });
});
