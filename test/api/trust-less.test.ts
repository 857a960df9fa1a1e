import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { RemoteAnswer } from '#platform/remote.ts';
import type { TestIssuer } from '#test/parties/issuer.ts';
import { clientClaims, terraformClaims } from '#test/parties/issuer.ts';
import type { TestServer } from '#test/server.ts';
import type { TrustWorld } from './trust-world.ts';
import { decoded, only, startTrustWorld } from './trust-world.ts';

let world: TrustWorld;
let server: TestServer;
let hcp: TestIssuer;

before(async () => {
  world = await startTrustWorld();
  ({ server, hcp } = world);
  await server.apply([
    only('whole_account', { grants: [{ role: 'account_admin', scope: '/', resourceGroup: 'all_resources_including_child_scopes' }] }),
    only('one_kind', { grants: [{ role: 'project_admin', scope: 'payments/checkout', resources: [{ type: 'service' }] }] }),
  ]);
});

const grant = (changes: object) => JSON.stringify([{ type: 'sallyport_grant', ...changes }]);
const ask = (workspace: string, changes: Record<string, string>): Promise<RemoteAnswer> => world.tryExchange(hcp.token(terraformClaims({ terraform_workspace_id: workspace })), changes);
const held = async (workspace: string, changes: Record<string, string>): Promise<string> => {
  const answer = await ask(workspace, changes);
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return (answer.body as { access_token: string }).access_token;
};
const may = (token: string, permission: string, resource: string) => world.may(token, permission, resource);
const refusalOf = (answer: RemoteAnswer) => answer.body as { error: string; error_description: string; correlation_id: string };

describe('three workspaces', () => {
  const ways: [says: string, workspace: (which: 'account' | 'project' | 'kind') => Promise<string>][] = [
    ['each by a mapping of its own', (which) => held({ account: 'whole_account', project: 'ws-123', kind: 'one_kind' }[which], {})],
    ['all by one mapping, asking for less', (which) => held('whole_account', {
      account: {} as Record<string, string>,
      project: { authorization_details: grant({ role: 'project_admin', scope: 'payments/checkout' }) },
      kind: { authorization_details: grant({ permissions: ['service.view', 'service.create', 'service.edit', 'service.delete'], scope: 'payments/checkout', resources: [{ type: 'service' }] }) },
    }[which])],
  ];
  for (const [says, workspace] of ways) {
    test(`${says}: one administers the account, one a project, one provisions one kind`, async () => {
      const [account, project, kind] = [await workspace('account'), await workspace('project'), await workspace('kind')];
      const questions = [['organization.create', 'new'], ['pipeline.edit', 'platform/edge/recover'], ['pipeline.edit', 'payments/checkout/recover'], ['service.create', 'payments/checkout/web']] as const;
      const answers = async (token: string) => Promise.all(questions.map(([permission, resource]) => may(token, permission, resource)));
      assert.deepEqual(await answers(account), [true, true, true, true]);
      assert.deepEqual(await answers(project), [false, false, true, true]);
      assert.deepEqual(await answers(kind), [false, false, false, true]);
      const name = `made_${says.length}`;
      const service = { kind: 'Service', scope: 'payments/checkout', identifier: name, spec: {} };
      await server.apply([service], kind);
      const other = await server.call({ method: 'POST', path: `${server.api}/manifests:apply`, body: { documents: [{ ...service, kind: 'Environment', spec: { type: 'Production' } }] }, token: kind });
      assert.equal(other.status === 403 || other.status === 404, true, JSON.stringify(other.body));
    });
  }
});

describe('asking for less', () => {
  const rows: [says: string, changes: () => Record<string, string>, allowed: readonly [string, string][], refused: readonly [string, string][]][] = [
    ['by scope holds everywhere', () => ({ scope: 'pipeline.view service.view' }),
      [['pipeline.view', 'payments/checkout/recover'], ['pipeline.view', 'platform/edge/recover']], [['pipeline.edit', 'payments/checkout/recover']]],
    ['by permissions in one project', () => ({ authorization_details: grant({ permissions: ['pipeline.view'], scope: 'payments/checkout' }) }),
      [['pipeline.view', 'payments/checkout/recover']], [['pipeline.view', 'payments/refunds/recover'], ['pipeline.edit', 'payments/checkout/recover']]],
    ['with child scopes', () => ({ authorization_details: grant({ permissions: ['pipeline.view'], scope: 'payments', includeChildScopes: true }) }),
      [['pipeline.view', 'payments/refunds/recover']], [['pipeline.view', 'platform/edge/recover']]],
    ['for one resource by name', () => ({ authorization_details: grant({ permissions: ['pipeline.view'], scope: 'payments', includeChildScopes: true, resources: [{ type: 'pipeline', identifiers: ['other'] }] }) }),
      [], [['pipeline.view', 'payments/refunds/recover']]],
    ['for resources with a tag', () => ({ authorization_details: grant({ permissions: ['pipeline.view'], scope: '/', includeChildScopes: true, resources: [{ type: 'pipeline', where: { 'tags.application': { equals: 'app_y' } } }] }) }),
      [['pipeline.view', 'payments/refunds/recover']], [['pipeline.view', 'payments/checkout/recover']]],
    ['by scope and details, both must allow', () => ({ scope: 'pipeline.view', authorization_details: grant({ permissions: ['pipeline.view', 'pipeline.edit'], scope: 'payments/checkout' }) }),
      [['pipeline.view', 'payments/checkout/recover']], [['pipeline.edit', 'payments/checkout/recover'], ['pipeline.view', 'payments/refunds/recover']]],
    ['by two details, either may', () => ({ authorization_details: JSON.stringify([{ type: 'sallyport_grant', permissions: ['pipeline.view'], scope: 'payments/checkout' }, { type: 'sallyport_grant', permissions: ['pipeline.edit'], scope: 'payments/refunds' }]) }),
      [['pipeline.view', 'payments/checkout/recover'], ['pipeline.edit', 'payments/refunds/recover']], [['pipeline.edit', 'payments/checkout/recover'], ['pipeline.view', 'payments/refunds/recover']]],
  ];
  for (const [says, changes, allowed, refused] of rows) {
    test(`${says}`, async () => {
      const session = await held('whole_account', changes());
      for (const [permission, resource] of allowed) assert.equal(await may(session, permission, resource), true, `${permission} ${resource}`);
      for (const [permission, resource] of refused) assert.equal(await may(session, permission, resource), false, `${permission} ${resource}`);
    });
  }

  test('is said in the answer, in introspection, in the list of sessions and in the audit', async () => {
    const detail = { type: 'sallyport_grant', permissions: ['pipeline.view'], scope: 'payments' };
    const answer = await ask('whole_account', { scope: 'pipeline.view', authorization_details: JSON.stringify([detail]) });
    const { access_token: token, ...rest } = answer.body as { access_token: string; scope: string; authorization_details: unknown };
    assert.deepEqual([rest.scope, rest.authorization_details], ['pipeline.view', [detail]]);
    const seen = (await world.oauth('introspect', { token }, server.adminToken)).body as typeof rest;
    assert.deepEqual([seen.scope, seen.authorization_details], ['pipeline.view', [detail]]);
    const id = String(decoded(token).payload['jti']);
    const list = (await server.call({ method: 'GET', path: `${server.api}/sessions?mapping=whole_account&limit=200` })).body as { items: { id: string; scope?: string; authorizationDetails?: unknown }[] };
    const own = list.items.find((item) => item.id === id)!;
    assert.deepEqual([own.scope, own.authorizationDetails], ['pipeline.view', [detail]]);
    const [event] = await world.audit({ session: id });
    assert.deepEqual(event!.detail['authorizationDetails'], [detail]);
  });

  test('stays within a grant with conditions: they go on applying', async () => {
    const token = world.corporate.token(clientClaims(), { header: { typ: 'at+jwt' } });
    const answer = await world.tryExchange(token, { authorization_details: grant({ permissions: ['pipeline.execute'], scope: 'payments', includeChildScopes: true, resources: [{ type: 'pipeline' }] }) });
    const session = (answer.body as { access_token: string }).access_token;
    assert.deepEqual([await may(session, 'pipeline.execute', 'payments/checkout/recover'), await may(session, 'pipeline.execute', 'payments/refunds/recover')], [true, false]);
  });

  test('does not outlast the mapping: what it narrows is gone from the session that asked for less too', async () => {
    const role = (permissions: string[]) => ({ kind: 'Role', identifier: 'less_shrinks', spec: { level: 'org', permissions } });
    await server.apply([role(['pipeline.view', 'pipeline.edit']), only('less_shrinks', { grants: [{ role: 'less_shrinks', scope: 'payments', includeChildScopes: true, resources: [{ type: 'pipeline' }] }] })]);
    const session = await held('less_shrinks', { scope: 'pipeline.edit' });
    assert.equal(await may(session, 'pipeline.edit', 'payments/checkout/recover'), true);
    await server.apply([role(['pipeline.view'])]);
    assert.equal(await may(session, 'pipeline.edit', 'payments/checkout/recover'), 401, 'nothing of it is left');
  });
});

describe('asking for more', () => {
  const project = 'ws-123';
  const details = 'invalid_authorization_details';
  const rows: [says: string, changes: Record<string, string>, error: string][] = [
    ['another project', { authorization_details: grant({ permissions: ['pipeline.view'], scope: 'payments/refunds' }) }, details],
    ['the organization above', { authorization_details: grant({ permissions: ['pipeline.view'], scope: 'payments', includeChildScopes: true }) }, details],
    ['the account', { authorization_details: grant({ role: 'account_admin', scope: '/', includeChildScopes: true }) }, details],
    ['a role in another project', { authorization_details: grant({ role: 'project_viewer', scope: 'payments/refunds' }) }, details],
    ['a role that is not there', { authorization_details: grant({ role: 'nobody', scope: 'payments/checkout' }) }, details],
    ['a permission that is not there', { authorization_details: grant({ permissions: ['pipeline.fly'], scope: 'payments/checkout' }) }, details],
    ['a kind that is not there', { authorization_details: grant({ permissions: ['pipeline.view'], scope: 'payments/checkout', resources: [{ type: 'pipline' }] }) }, details],
    ['nothing: an empty list of resources', { authorization_details: grant({ permissions: ['pipeline.view'], scope: 'payments/checkout', resources: [] }) }, details],
    ['one thing too much among what is given', { authorization_details: JSON.stringify([{ type: 'sallyport_grant', permissions: ['pipeline.view'], scope: 'payments/checkout' }, { type: 'sallyport_grant', permissions: ['pipeline.view'], scope: 'platform' }]) }, details],
    ['a permission by scope that the token gives nowhere', { scope: 'pipeline.view trusted_issuer.edit' }, 'invalid_scope'],
    ['a scope of two blanks', { scope: 'pipeline.view  pipeline.edit' }, 'invalid_scope'],
    ['another type', { authorization_details: '[{"type":"payment","scope":"/","permissions":["pipeline.view"]}]' }, details],
    ['an unknown field', { authorization_details: grant({ permissions: ['pipeline.view'], scope: '/', actions: ['read'] }) }, details],
    ['a field given twice', { authorization_details: '[{"type":"sallyport_grant","scope":"/","scope":"payments","permissions":["pipeline.view"]}]' }, details],
    ['no scope', { authorization_details: grant({ permissions: ['pipeline.view'] }) }, details],
    ['role and permissions', { authorization_details: grant({ role: 'project_viewer', permissions: ['pipeline.view'], scope: 'payments/checkout' }) }, details],
    ['no JSON', { authorization_details: 'hello' }, details],
    ['no list', { authorization_details: '{}' }, details],
  ];
  for (const [says, changes, error] of rows) {
    test(`${says} is refused in words of its own`, async () => {
      const answer = await ask(project, changes);
      assert.deepEqual([answer.status, refusalOf(answer).error], [400, error], JSON.stringify(answer.body));
    });
  }

  test('is in the audit with what was asked', async () => {
    const answer = await ask(project, { authorization_details: grant({ permissions: ['pipeline.view'], scope: 'payments/refunds' }) });
    const [event] = await world.audit({ requestId: refusalOf(answer).correlation_id });
    assert.deepEqual([event!.action, event!.detail.code], ['session.refused', 'oauth.invalid_authorization_details']);
  });

  test('says the same of a role that is not there and of one that is more', async () => {
    const texts = await Promise.all(['account_admin', 'account_nobody'].map(async (role) => refusalOf(await ask(project, { authorization_details: grant({ role, scope: 'payments/refunds' }) })).error_description.replaceAll(role, 'ROLE')));
    assert.equal(texts[0], texts[1]);
  });
});

describe('the grant of RFC 7523', () => {
  const assertion = (form: Record<string, string>) => world.oauth('token', { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', ...form });

  test('trades an assertion for a session, without what only an exchange answers', async () => {
    const answer = await assertion({ assertion: hcp.token(terraformClaims()), scope: 'pipeline.edit' });
    const { access_token: token, expires_in: _seconds, ...rest } = answer.body as { access_token: string; expires_in: number };
    assert.deepEqual([answer.status, rest], [200, { token_type: 'Bearer', scope: 'pipeline.edit' }]);
    assert.equal(await may(token, 'pipeline.edit', 'payments/checkout/recover'), true);
  });

  const refused: [says: string, form: () => Record<string, string>, error: string][] = [
    ['an assertion that is not accepted', () => ({ assertion: hcp.token(terraformClaims({ aud: 'https://other.example' })) }), 'invalid_grant'],
    ['one without `sub`', () => ({ assertion: hcp.token(terraformClaims(), { without: ['sub'] }) }), 'invalid_grant'],
    ['one of nobody known', () => ({ assertion: world.stranger.token(terraformClaims()) }), 'invalid_grant'],
    ['what is no token', () => ({ assertion: 'hello' }), 'invalid_grant'],
    ['no assertion', () => ({}), 'invalid_request'],
    ['a parameter of an exchange', () => ({ assertion: hcp.token(terraformClaims()), subject_token: 'x' }), 'invalid_request'],
    ['another resource', () => ({ assertion: hcp.token(terraformClaims()), resource: 'https://other.example' }), 'invalid_target'],
    ['an unknown parameter', () => ({ assertion: hcp.token(terraformClaims()), asertion: 'x' }), 'invalid_request'],
  ];
  for (const [says, form, error] of refused) {
    test(`refuses ${says} as ${error}`, async () => {
      const answer = await assertion(form());
      assert.deepEqual([answer.status, refusalOf(answer).error], [400, error]);
    });
  }

  test('refuses a parameter that is given twice', async () => {
    const token = hcp.token(terraformClaims());
    const answer = await fetch(`${server.url}/accounts/default/oauth/token`, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: `grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion=${token}&assertion=${token}` });
    assert.equal(answer.status, 400);
    assert.match(await answer.text(), /assertion: is given more than once/);
  });
});
