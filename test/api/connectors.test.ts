/** Connectors and secrets above a run: who may use them from where (CONTRACTS §3, §5). */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { problem } from './answers.ts';
import { makeUser, scopeApi } from './principals.ts';
import { Runs, checkout, pipeline, runWorld, step } from './runs.ts';
import type { Manifest } from './runs.ts';

let server: TestServer;
let runs: Runs;

before(async () => {
  server = await startTestServer();
  runs = new Runs(server);
  await server.apply([
    ...runWorld,
    { kind: 'Organization', identifier: 'pay', spec: {} }, { kind: 'Project', scope: 'payments', identifier: 'check', spec: {} },
    { kind: 'Role', identifier: 'runs', spec: { level: 'project', permissions: ['pipeline.execute'] } },
    { kind: 'Role', identifier: 'uses', spec: { level: 'account', permissions: ['connector.access', 'secret.access'] } },
  ]);
});

const things = {
  connector: (scope: string, identifier: string, usableFrom: object): Manifest => ({ kind: 'Connector', scope, identifier, spec: { type: 'jwt', audiences: ['https://partner.example'], ...usableFrom } }),
  secret: (scope: string, identifier: string, usableFrom: object): Manifest => ({ kind: 'Secret', scope, identifier, spec: { type: 'text', value: 'correct-horse-battery', ...usableFrom } }),
} as const;
const functions = { connector: 'secrets.getJWT', secret: 'secrets.getValue' } as const;

/** Where the starter has `connector.access` and `secret.access`; each binding is for its own scope alone. */
type Held = 'here' | 'there' | 'in the organization' | 'nowhere';

const rows: readonly {
  readonly says: string;
  /** Where it lies; the run is in `payments/checkout`. */
  readonly at: string;
  readonly usableFrom?: readonly string[];
  readonly reference: string;
  readonly held: Held;
  readonly allowed: boolean;
}[] = [
  { says: 'in its own scope it needs no `usableFrom`', at: checkout, reference: 'x', held: 'here', allowed: true },
  { says: 'in its own scope it needs the access', at: checkout, reference: 'x', held: 'nowhere', allowed: false },
  { says: 'without `usableFrom` it is not usable from below, held here', at: '/', reference: 'account.x', held: 'here', allowed: false },
  { says: 'without `usableFrom` it is not usable from below, held there', at: '/', reference: 'account.x', held: 'there', allowed: false },
  { says: 'with an empty list it is not usable from below', at: '/', usableFrom: [], reference: 'account.x', held: 'here', allowed: false },
  { says: 'a scope that is named may use it with the access as if it lay there', at: '/', usableFrom: [checkout], reference: 'account.x', held: 'here', allowed: true },
  { says: 'a scope that is named may use it with the access where it lies', at: '/', usableFrom: [checkout], reference: 'account.x', held: 'there', allowed: true },
  { says: 'a scope that is named may not without either', at: '/', usableFrom: [checkout], reference: 'account.x', held: 'nowhere', allowed: false },
  { says: 'access half-way is neither here nor there', at: '/', usableFrom: [checkout], reference: 'account.x', held: 'in the organization', allowed: false },
  { says: 'a scope beside the one named may not, whatever it holds', at: '/', usableFrom: ['payments/ledger'], reference: 'account.x', held: 'here', allowed: false },
  { says: 'a scope beside the one named may not, held where it lies', at: '/', usableFrom: ['payments/ledger'], reference: 'account.x', held: 'there', allowed: false },
  { says: 'an organization named alone does not name its projects', at: '/', usableFrom: ['payments'], reference: 'account.x', held: 'here', allowed: false },
  { says: '`payments/**` names the projects below it', at: '/', usableFrom: ['payments/**'], reference: 'account.x', held: 'here', allowed: true },
  { says: '`pay/**` does not name `payments`', at: '/', usableFrom: ['pay/**'], reference: 'account.x', held: 'here', allowed: false },
  { says: '`payments/check/**` does not name `payments/checkout`', at: '/', usableFrom: ['payments/check/**'], reference: 'account.x', held: 'here', allowed: false },
  { says: '`**` names all', at: '/', usableFrom: ['**'], reference: 'account.x', held: 'here', allowed: true },
  { says: 'one of several that names it is enough', at: '/', usableFrom: ['platform/**', checkout], reference: 'account.x', held: 'here', allowed: true },
  { says: 'one of an organization is used from its projects', at: 'payments', usableFrom: ['payments/**'], reference: 'org.x', held: 'here', allowed: true },
  { says: 'one of an organization, held where it lies', at: 'payments', usableFrom: ['payments/**'], reference: 'org.x', held: 'there', allowed: true },
  { says: 'one of another organization cannot even be named', at: 'platform', usableFrom: ['platform/**'], reference: 'org.x', held: 'here', allowed: false },
  { says: 'one beside it cannot even be named', at: 'payments/ledger', reference: 'x', held: 'here', allowed: false },
];

for (const kind of ['connector', 'secret'] as const) {
  describe(`a ${kind} above a run`, () => {
    for (const [i, { says, at, usableFrom, reference, held, allowed }] of rows.entries()) {
      test(says, async () => {
        const user = `${kind}_${i}`;
        const place = { here: checkout, there: at, 'in the organization': 'payments', nowhere: null }[held];
        const group = (scope: string) => (scope === '/' ? 'all_account_level_resources' : scope.includes('/') ? 'all_project_level_resources' : 'all_org_level_resources');
        const { token } = await makeUser(server, user, [
          { role: 'account.runs', scope: checkout, resourceGroup: group(checkout) },
          ...(place === null ? [] : [{ role: place === '/' ? 'uses' : 'account.uses', scope: place, resourceGroup: group(place) }]),
        ]);
        const name = `x_${user}`;
        const named = reference.replace(/x$/, name);
        await server.apply([
          things[kind](at, name, usableFrom === undefined ? {} : { usableFrom }),
          pipeline(user, { build: [step('s', { env: { X: `<+${functions[kind]}("${named}")>` } })] }),
        ]);
        const answer = await runs.tryStart(user, { token });
        if (!allowed) return void problem(answer, 403, 'access.denied');
        assert.equal(answer.status, 202, JSON.stringify(answer.body));
        assert.notEqual((await runs.nextPayload()).environment['X'], '');
      });
    }
  });
}

describe('saving `usableFrom`', () => {
  const save = (kind: 'connector' | 'secret', scope: string, usableFrom: readonly string[], token?: string, identifier = 'saved') => {
    const { spec } = things[kind](scope, identifier, { usableFrom });
    return server.call({ method: 'POST', path: `${scopeApi(server, scope)}/${kind}s`, body: { identifier, spec }, ...(token === undefined ? {} : { token }) });
  };

  for (const kind of ['connector', 'secret'] as const) {
    for (const [says, scope, pattern] of [
      ['above the resource', 'payments', '**'], ['beside the resource', 'payments', 'platform/**'], ['beside a project', checkout, 'payments/ledger'], ['of the organization of a project', checkout, 'payments/**'],
      ['elsewhere, and is not told whether it is there', checkout, 'payments/nowhere'],
    ] as const) {
      test(`a ${kind} names no scope ${says}`, async () => {
        const answer = await save(kind, scope, [scope, pattern]);
        assert.deepEqual(problem(answer, 400, 'request.invalid').errors, [{ document: 0, pointer: '/spec/usableFrom/1', message: `\`${pattern}\` does not lie at or below \`${scope}\`, where this is` }]);
      });
    }

    test(`who opens a ${kind} to a scope must hold the access there, over all that is named`, async () => {
      await server.apply([{ kind: 'Role', identifier: `${kind}_maker`, spec: { level: 'account', permissions: [`${kind}.create`, `${kind}.edit`, `${kind}.view`] } }]);
      const { token } = await makeUser(server, `${kind}_maker`, [
        { role: `${kind}_maker`, resourceGroup: 'all_account_level_resources' }, { role: 'account.uses', scope: checkout, resourceGroup: 'all_project_level_resources' },
      ]);
      problem(await save(kind, '/', ['payments/**'], token, `${kind}_wide`), 403, 'access.escalation');
      problem(await save(kind, '/', ['payments/ledger'], token, `${kind}_beside`), 403, 'access.escalation');
      assert.equal((await save(kind, '/', [checkout], token, `${kind}_own`)).status, 201);
      assert.equal((await save(kind, '/', [], token, `${kind}_none`)).status, 201);
      const widened = await server.call({ method: 'PUT', path: `${server.api}/${kind}s/${kind}_own`, body: { spec: things[kind]('/', '', { usableFrom: [checkout, 'payments/ledger'] }).spec }, token });
      assert.deepEqual(problem(widened, 403, 'access.escalation').errors?.map(({ pointer }) => pointer), ['/spec/usableFrom/1']);
    });
  }
});

describe('a connector is refused when it is saved', () => {
  const jwt = { type: 'jwt', audiences: ['https://partner.example'] };
  const gcp = { type: 'gcp_oidc', projectNumber: '123456789', poolId: 'delivery', providerId: 'sallyport' };
  const bad: [says: string, spec: object, pointer: string][] = [
    ['without an audience', { ...jwt, audiences: [] }, '/spec/audiences'],
    ['with an audience that has a space', { ...jwt, audiences: ['https://partner.example/a b'] }, '/spec/audiences/0'],
    ['with an empty audience', { ...jwt, audiences: [''] }, '/spec/audiences/0'],
    ['with tokens that live for more than an hour', { ...jwt, ttl: '61m' }, '/spec/ttl'],
    ['with tokens that live for less than a minute', { ...jwt, ttl: '59s' }, '/spec/ttl'],
    ['of no type', { audiences: ['https://partner.example'] }, '/spec/type'],
    ['of a type that is not offered', { type: 'oracle_oidc' }, '/spec/type'],
    ['of one type with the fields of another', { ...gcp, audiences: ['https://partner.example'] }, '/spec/audiences'],
    ['with a project number that is none', { ...gcp, projectNumber: 'my-project' }, '/spec/projectNumber'],
    ['with a pool that climbs out of the audience', { ...gcp, poolId: '../../x' }, '/spec/poolId'],
    ['with a service account that is no address', { ...gcp, serviceAccountEmail: 'deployer' }, '/spec/serviceAccountEmail'],
  ];
  for (const [says, spec, pointer] of bad) {
    test(says, async () => {
      const answer = await server.call({ method: 'POST', path: `${server.api}/connectors`, body: { identifier: 'bad', spec } });
      assert.deepEqual(problem(answer, 400, 'request.invalid').errors?.map((error) => error.pointer), [pointer]);
    });
  }

  test('with the name of one that was deleted', async () => {
    await server.apply([things.connector('/', 'retired', {})]);
    assert.equal((await server.call({ method: 'DELETE', path: `${server.api}/connectors/retired` })).status, 204);
    problem(await server.call({ method: 'POST', path: `${server.api}/connectors`, body: { identifier: 'retired', spec: jwt } }), 409, 'resource.identifier_retired');
  });
});
