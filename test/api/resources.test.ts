import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { RemoteAnswer, RemoteRequest } from '#platform/remote.ts';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { problem, seen } from './answers.ts';
import type { AuditRow } from './audit-rows.ts';
import { auditMark, told } from './audit-rows.ts';
import { makeUser, scopeApi } from './principals.ts';

let server: TestServer;
const tokens: Record<string, string> = {};

const world = [
  { kind: 'Organization', identifier: 'payments', spec: {} },
  { kind: 'Organization', identifier: 'platform', spec: {} },
  { kind: 'Project', scope: 'payments', identifier: 'checkout', spec: {} },
  { kind: 'Project', scope: 'payments', identifier: 'refunds', spec: {} },
  { kind: 'Role', identifier: 'editor', spec: { level: 'org', permissions: ['service_account.view', 'service_account.create', 'service_account.edit', 'service_account.delete'] } },
  { kind: 'Role', identifier: 'blind_editor', spec: { level: 'org', permissions: ['service_account.edit', 'service_account.delete'] } },
  { kind: 'ServiceAccount', scope: 'payments', identifier: 'ci', name: 'Continuous', tags: { team: 'core' }, spec: {} },
  { kind: 'ServiceAccount', scope: 'payments', identifier: 'used', spec: {} },
  { kind: 'UserGroup', scope: 'payments/checkout', identifier: 'users_of_used', spec: { members: [{ type: 'service_account', id: 'org.used' }] } },
];

before(async () => {
  server = await startTestServer();
  await server.apply(world);
  tokens['viewer'] = (await makeUser(server, 'viewer', [{ role: 'org_viewer', scope: 'payments' }])).token;
  tokens['editor'] = (await makeUser(server, 'editor', [{ role: 'account.editor', scope: 'payments' }])).token;
  tokens['blind'] = (await makeUser(server, 'blind', [{ role: 'account.blind_editor', scope: 'payments' }])).token;
  tokens['stranger'] = (await makeUser(server, 'stranger')).token;
});

const inPayments = (path: string): string => `${scopeApi(server, 'payments')}/${path}`;

function call(request: RemoteRequest & { as?: string | null }): Promise<RemoteAnswer> {
  const { as, ...rest } = request;
  return server.call({ ...rest, ...(as === undefined ? {} : { token: as === null ? null : tokens[as]! }) });
}

function apply(documents: readonly unknown[], more: { as?: string; set?: string; prune?: boolean; path?: string } = {}): Promise<RemoteAnswer> {
  const { as, path = 'manifests:apply', ...rest } = more;
  return call({ method: 'POST', path: `${server.api}/${path}`, body: { documents, ...rest }, ...(as === undefined ? {} : { as }) });
}

function actions(answer: RemoteAnswer): string[] {
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return (answer.body as { changes: { action: string; kind: string; path: string }[] }).changes.map(({ action, kind, path }) => `${action} ${kind} ${path}`);
}

const row = (action: string, resource: string | null, more: Partial<AuditRow> = {}): AuditRow => ({ action, outcome: 'success', actor: 'user:admin', resource, scope: 'payments', ...more });
const refused = (action: string, who: string, scope = 'payments'): AuditRow => ({ action, outcome: 'refused', actor: `user:${who}`, resource: null, scope });

interface Scenario {
  readonly it: string;
  readonly ask: () => RemoteRequest & { as?: string | null };
  readonly status: number;
  readonly code?: string;
  /** Of the answer's body. */
  readonly body?: (body: Record<string, unknown>) => void;
  readonly headers?: Readonly<Record<string, RegExp>>;
  readonly rows?: readonly AuditRow[];
}

const spec = {};

/** In order: each finds what those before it left. */
const scenarios: readonly Scenario[] = [
  {
    it: '201 with the resource, its version as ETag, and one row',
    ask: () => ({ method: 'POST', path: inPayments('service-accounts'), body: { identifier: 'bot', name: 'Bot', tags: { team: 'core' }, spec } }),
    status: 201,
    headers: { etag: /^"1"$/ },
    body: (body) => {
      const { uid, createdAt, updatedAt, ...rest } = body;
      assert.match(String(uid), /^[0-9a-f-]{36}$/);
      assert.equal(createdAt, updatedAt);
      assert.match(String(createdAt), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      assert.deepEqual(rest, {
        kind: 'ServiceAccount', scope: 'payments', identifier: 'bot', name: 'Bot', tags: { team: 'core' }, spec, path: 'payments/bot', version: 1,
        createdBy: 'user:admin', updatedBy: 'user:admin',
      });
    },
    rows: [row('service_account.create', 'service_account payments/bot')],
  },
  { it: '200 for a read, which leaves no row', ask: () => ({ method: 'GET', path: inPayments('service-accounts/bot') }), status: 200, headers: { etag: /^"1"$/ }, rows: [] },
  {
    it: '200 for a change, with the next version and one row',
    ask: () => ({ method: 'PUT', path: inPayments('service-accounts/bot'), headers: { 'if-match': '"1"' }, body: { name: 'Robot', spec } }),
    status: 200,
    headers: { etag: /^"2"$/ },
    body: (body) => assert.deepEqual({ name: body['name'], tags: body['tags'], version: body['version'] }, { name: 'Robot', tags: undefined, version: 2 }),
    rows: [row('service_account.update', 'service_account payments/bot')],
  },
  { it: '200 for a change that changes nothing, without a version or a row', ask: () => ({ method: 'PUT', path: inPayments('service-accounts/bot'), body: { name: 'Robot', spec } }), status: 200, headers: { etag: /^"2"$/ }, rows: [] },
  { it: '412 when another version was meant', ask: () => ({ method: 'PUT', path: inPayments('service-accounts/bot'), headers: { 'if-match': '"1"' }, body: { spec } }), status: 412, code: 'resource.precondition', rows: [] },
  { it: '412 when the version cannot be read', ask: () => ({ method: 'DELETE', path: inPayments('service-accounts/bot'), headers: { 'if-match': 'W/"2"' } }), status: 412, code: 'resource.precondition', rows: [] },
  { it: '409 when there is one already', ask: () => ({ method: 'POST', path: inPayments('service-accounts'), body: { identifier: 'bot', spec } }), status: 409, code: 'resource.exists', rows: [] },
  { it: '204 without a body for a deletion', ask: () => ({ method: 'DELETE', path: inPayments('service-accounts/bot'), headers: { 'if-match': '"2"' } }), status: 204, rows: [row('service_account.delete', 'service_account payments/bot')] },
  { it: '409 when the identifier was used before', ask: () => ({ method: 'POST', path: inPayments('service-accounts'), body: { identifier: 'bot', spec } }), status: 409, code: 'resource.identifier_retired', rows: [] },
  { it: '409 for the name of a built-in', ask: () => ({ method: 'POST', path: inPayments('roles'), body: { identifier: 'project_admin', spec: { level: 'org', permissions: [] } } }), status: 409, code: 'resource.built_in', rows: [] },
  {
    it: '409 when something refers to it, with the list',
    ask: () => ({ method: 'DELETE', path: inPayments('service-accounts/used') }),
    status: 409, code: 'resource.referenced', rows: [],
    body: (body) => assert.match(String(body['detail']), /service_account `payments\/used` is referred to by user_group `payments\/checkout\/users_of_used`/),
  },
  {
    it: '400 for an unknown field, with a suggestion and a place',
    ask: () => ({ method: 'POST', path: inPayments('service-accounts'), body: { identifier: 'new', spec: { disable: true } } }),
    status: 400, code: 'request.invalid', rows: [],
    body: (body) => assert.deepEqual(body['errors'], [{ pointer: '/spec/disable', message: 'unknown field `disable`; did you mean `disabled`?', suggestion: 'disabled' }]),
  },
  { it: '400 for a member called __proto__', ask: () => ({ method: 'POST', path: inPayments('service-accounts'), body: JSON.parse('{"identifier":"new","spec":{"__proto__":{"disabled":true}}}') as unknown }), status: 400, code: 'request.invalid', rows: [] },
  { it: '400 for a name that would act on a terminal', ask: () => ({ method: 'POST', path: inPayments('service-accounts'), body: { identifier: 'new', name: 'a\u001b]0;b\u0007', spec: {} } }), status: 400, code: 'request.invalid', rows: [] },
  { it: '400 for a tag that would act on a terminal', ask: () => ({ method: 'POST', path: inPayments('service-accounts'), body: { identifier: 'new', tags: { a: '\u009b2J' }, spec: {} } }), status: 400, code: 'request.invalid', rows: [] },
  { it: '400 for a tag called __proto__, which would go missing', ask: () => ({ method: 'POST', path: inPayments('service-accounts'), body: JSON.parse('{"identifier":"new","tags":{"__proto__":"x"},"spec":{}}') as unknown }), status: 400, code: 'request.invalid', rows: [] },
  { it: '400 for an identifier that is none', ask: () => ({ method: 'POST', path: inPayments('service-accounts'), body: { identifier: 'a-b', spec } }), status: 400, code: 'request.invalid', rows: [] },
  { it: '400 for a character no column holds', ask: () => ({ method: 'POST', path: inPayments('service-accounts'), body: { identifier: 'new', name: 'a\0b', spec } }), status: 400, code: 'request.malformed', rows: [] },
  { it: '400 for that character in a name of a member', ask: () => ({ method: 'POST', path: inPayments('service-accounts'), body: { identifier: 'new', spec: { 'a\0': 1 } } }), status: 400, code: 'request.malformed', rows: [] },
  { it: '400 for an unknown query parameter', ask: () => ({ method: 'GET', path: inPayments('service-accounts?limt=3') }), status: 400, code: 'request.invalid', rows: [] },
  { it: '400 for a query parameter given twice', ask: () => ({ method: 'GET', path: inPayments('service-accounts?limit=3&limit=4') }), status: 400, code: 'request.invalid', rows: [] },
  { it: '400 for a page larger than 200', ask: () => ({ method: 'GET', path: inPayments('service-accounts?limit=201') }), status: 400, code: 'request.invalid', rows: [] },
  { it: '401 without a credential', ask: () => ({ method: 'GET', path: inPayments('service-accounts/ci'), as: null }), status: 401, code: 'credential.missing', headers: { 'www-authenticate': /^Bearer realm="sallyport"$/ }, rows: [] },
  {
    it: '403 for one who may see it and not change it, with one row',
    ask: () => ({ method: 'PUT', path: inPayments('service-accounts/ci'), as: 'viewer', body: { spec } }),
    status: 403, code: 'access.denied', rows: [refused('service_account.update', 'viewer')],
    body: (body) => assert.equal(body['detail'], 'you need `service_account.edit` here'),
  },
  { it: '403 for one who may see it and not delete it', ask: () => ({ method: 'DELETE', path: inPayments('service-accounts/ci'), as: 'viewer' }), status: 403, code: 'access.denied', rows: [refused('service_account.delete', 'viewer')] },
  { it: '403 for one who may see such things and not create one', ask: () => ({ method: 'POST', path: inPayments('service-accounts'), as: 'viewer', body: { identifier: 'new', spec } }), status: 403, code: 'access.denied', rows: [refused('service_account.create', 'viewer')] },
  { it: '404 for a stranger, with one row', ask: () => ({ method: 'GET', path: inPayments('service-accounts/ci'), as: 'stranger' }), status: 404, code: 'access.not_found', rows: [refused('service_account.get', 'stranger')] },
  { it: '404 for a change by one who may make it but not see it', ask: () => ({ method: 'PUT', path: inPayments('service-accounts/ci'), as: 'blind', body: { spec } }), status: 404, code: 'access.not_found', rows: [refused('service_account.update', 'blind')] },
  { it: '404 for what is not there, without a row for one who would see it', ask: () => ({ method: 'GET', path: inPayments('service-accounts/nothing') }), status: 404, code: 'access.not_found', rows: [] },
  { it: '404 for a list where nothing is granted, with one row', ask: () => ({ method: 'GET', path: `${scopeApi(server, 'platform')}/roles`, as: 'viewer' }), status: 404, code: 'access.not_found', rows: [refused('role.list', 'viewer', 'platform')] },
  { it: '404 for an audit trail one may not see, with one row', ask: () => ({ method: 'GET', path: inPayments('audit'), as: 'editor' }), status: 404, code: 'access.not_found', rows: [refused('audit.list', 'editor')] },
];

describe('the five operations of a kind answer', () => {
  for (const { it, ask, status, code, body, headers, rows } of scenarios) {
    test(it, async () => {
      const since = await auditMark(server);
      const answer = await call(ask());
      if (code === undefined) assert.equal(answer.status, status, JSON.stringify(answer.body));
      else problem(answer, status, code);
      if (status === 204) assert.equal(answer.body, null);
      body?.(answer.body as Record<string, unknown>);
      for (const [name, pattern] of Object.entries(headers ?? {})) assert.match(answer.headers[name] ?? '', pattern);
      if (rows !== undefined) assert.deepEqual(told(await since()), rows);
    });
  }
});

describe('a body that cannot be read is refused', () => {
  const rows: readonly [it: string, bytes: string, type: string, status: number, code: string][] = [
    ['413 when it is larger than what the endpoint takes', `{"identifier":"${'x'.repeat(1_100_000)}"}`, 'application/json', 413, 'request.too_large'],
    ['415 when it is no JSON', 'identifier=x', 'application/x-www-form-urlencoded', 415, 'request.unsupported_type'],
    ['415 when its type is no type', '{}', 'json', 415, 'request.unsupported_type'],
    ['400 when it ends early', '{"identifier":', 'application/json', 400, 'request.malformed'],
    ['400 when a member is there twice', '{"identifier":"a","identifier":"b","spec":{}}', 'application/json', 400, 'request.malformed'],
    ['400 when a member is there twice in another spelling', '{"identifier":"a","\\u0069dentifier":"b","spec":{}}', 'application/json', 400, 'request.malformed'],
    ['400 when something follows it', '{"identifier":"a","spec":{}} {}', 'application/json', 400, 'request.malformed'],
    ['400 when it is too deep', `{"identifier":"a","spec":${'['.repeat(100)}${']'.repeat(100)}}`, 'application/json', 400, 'request.malformed'],
    ['400 when there is none', '', 'application/json', 400, 'request.invalid'],
  ];
  for (const [it, body, type, status, code] of rows) {
    test(it, async () => {
      const since = await auditMark(server);
      const answer = await fetch(`${server.url}${inPayments('service-accounts')}`, { method: 'POST', body, headers: { 'content-type': type, authorization: `Bearer ${server.adminToken}` } });
      assert.deepEqual({ status: answer.status, code: ((await answer.json()) as { code: string }).code }, { status, code });
      assert.deepEqual(await since(), []);
    });
  }

  test('not before it is known who sends it', async () => {
    const answer = await fetch(`${server.url}${inPayments('service-accounts')}`, { method: 'POST', body: '{', headers: { 'content-type': 'application/json' } });
    assert.equal(((await answer.json()) as { code: string }).code, 'credential.missing');
  });
});

describe('what may not be known is what is not there, byte for byte', () => {
  const requests: readonly [what: string, method: string, there: string, missing: string, body?: unknown][] = [
    ['reading', 'GET', 'orgs/payments/service-accounts/ci', 'orgs/payments/service-accounts/xx'],
    ['changing', 'PUT', 'orgs/payments/service-accounts/ci', 'orgs/payments/service-accounts/xx', { spec }],
    ['changing with a fault', 'PUT', 'orgs/payments/service-accounts/ci', 'orgs/payments/service-accounts/xx', { spec: { disabled: 'yes' } }],
    ['deleting', 'DELETE', 'orgs/payments/service-accounts/ci', 'orgs/payments/service-accounts/xx'],
    ['listing a scope', 'GET', 'orgs/payments/service-accounts', 'orgs/nowhere/service-accounts'],
    ['exporting a scope', 'GET', 'orgs/payments/manifests', 'orgs/nowhere/manifests'],
    ['the trail of a scope', 'GET', 'orgs/payments/audit', 'orgs/nowhere/audit'],
    ['creating in a scope', 'POST', 'orgs/payments/service-accounts', 'orgs/nowhere/service-accounts', { identifier: 'x', spec }],
    ['creating what is there and what is not', 'POST', 'orgs/payments/service-accounts', 'orgs/nowhere/service-accounts', { identifier: 'ci', spec }],
    ['tokens of somebody', 'GET', 'api-tokens?principal=user:viewer', 'api-tokens?principal=user:nobody'],
  ];
  for (const [what, method, there, missing, body] of requests) {
    test(what, async () => {
      const ask = (path: string) => call({ method, path: `${server.api}/${path}`, as: 'stranger', ...(body === undefined ? {} : { body }) });
      const [hidden, absent] = [await ask(there), await ask(missing)];
      assert.equal(hidden.status, 404, JSON.stringify(hidden.body));
      assert.deepEqual(seen(hidden), seen(absent));
    });
  }

  test('both leave a row', async () => {
    const since = await auditMark(server);
    for (const name of ['ci', 'xx']) await call({ method: 'GET', path: inPayments(`service-accounts/${name}`), as: 'stranger' });
    assert.deepEqual(told(await since()), [refused('service_account.get', 'stranger'), refused('service_account.get', 'stranger')]);
  });

  test('applying what it says already tells nothing to who may not see it', async () => {
    const exactly = { kind: 'ServiceAccount', scope: 'payments', identifier: 'ci', name: 'Continuous', tags: { team: 'core' }, spec: {} };
    const answers = await Promise.all(['manifests:apply', 'manifests:plan'].flatMap((path) => [exactly, { ...exactly, name: 'Other' }].map((one) => apply([one], { as: 'stranger', path }))));
    for (const answer of answers) assert.deepEqual(seen(answer), seen(answers[0]!));
    problem(answers[0]!, 404, 'access.not_found');
  });

  test('faults of documents are told only to who could make the change', async () => {
    const wrong = { kind: 'UserGroup', scope: 'payments', identifier: 'g', spec: { members: [{ type: 'service_account', id: 'ghost' }] } };
    problem(await apply([wrong], { as: 'stranger' }), 404, 'access.not_found');
    problem(await apply([wrong]), 400, 'request.invalid');
  });
});

describe('apply', () => {
  test('takes documents in any order, and references that point forward', async () => {
    const answer = await apply([
      { kind: 'UserGroup', scope: 'shop/web', identifier: 'bots', spec: { members: [{ type: 'service_account', id: 'org.builder' }] } },
      { kind: 'ServiceAccount', scope: 'shop', identifier: 'builder', spec },
      { kind: 'Project', scope: 'shop', identifier: 'web', spec },
      { kind: 'Organization', identifier: 'shop', spec },
    ]);
    assert.deepEqual(actions(answer), ['create UserGroup shop/web/bots', 'create ServiceAccount shop/builder', 'create Project shop/web', 'create Organization shop']);
  });

  test('changes nothing the second time and leaves no row', async () => {
    const again = world.slice(0, 4);
    const since = await auditMark(server);
    assert.deepEqual(new Set(actions(await apply(again)).map((line) => line.split(' ')[0])), new Set(['unchanged']));
    assert.deepEqual(await since(), []);
  });

  test('leaves one row for each document it changes, in its scope', async () => {
    const since = await auditMark(server);
    await apply([
      { kind: 'ServiceAccount', scope: 'payments', identifier: 'audited', spec },
      { kind: 'ServiceAccount', scope: 'payments/checkout', identifier: 'audited', spec },
      { kind: 'ServiceAccount', scope: 'payments', identifier: 'ci', name: 'Continuous', tags: { team: 'core' }, spec },
    ]);
    assert.deepEqual(told(await since()), [
      row('service_account.create', 'service_account payments/audited'),
      row('service_account.create', 'service_account payments/checkout/audited', { scope: 'payments/checkout' }),
    ]);
  });

  test('tells what it would do and does nothing when it is a dry run', async () => {
    const since = await auditMark(server);
    const planned = await apply([{ kind: 'ServiceAccount', scope: 'payments', identifier: 'planned', spec }], { path: 'manifests:plan' });
    assert.deepEqual(actions(planned), ['create ServiceAccount payments/planned']);
    problem(await call({ method: 'GET', path: inPayments('service-accounts/planned') }), 404, 'access.not_found');
    assert.deepEqual(await since(), []);
  });

  test('names the document and the place of every fault', async () => {
    const answer = await apply([
      { kind: 'ServiceAcount', identifier: 'a', spec },
      { kind: 'ServiceAccount', scope: 'payments', identifier: 'ok', spec },
      { kind: 'Project', identifier: 'p', spec },
      { kind: 'ServiceAccount', scope: 'a/b/c', identifier: 'a', spec },
      { kind: 'ServiceAccount', scope: 'payments', identifier: 'ok', spec },
    ]);
    const { errors } = problem(answer, 400, 'request.invalid');
    assert.deepEqual(errors!.map(({ document, pointer, suggestion }) => ({ document, pointer, suggestion })), [
      { document: 0, pointer: '/kind', suggestion: 'ServiceAccount' },
      { document: 2, pointer: '/scope', suggestion: undefined },
      { document: 3, pointer: '/scope', suggestion: undefined },
      { document: 4, pointer: '/identifier', suggestion: undefined },
    ]);
  });

  test('refuses a reference to what is not there, with the nearest name', async () => {
    const { errors } = problem(await apply([{ kind: 'UserGroup', scope: 'payments', identifier: 'g', spec: { members: [{ type: 'service_account', id: 'cii' }] } }]), 400, 'request.invalid');
    assert.deepEqual(errors!.map(({ pointer, suggestion, document }) => ({ pointer, suggestion, document })), [{ pointer: '/spec/members/0/id', suggestion: 'ci', document: 0 }]);
  });

  test('keeps nothing when the last of many documents is refused', async () => {
    const since = await auditMark(server);
    const many = Array.from({ length: 50 }, (_, i) => ({ kind: 'ServiceAccount', scope: 'payments', identifier: `half_${i}`, spec }));
    problem(await apply([...many, { kind: 'RoleBinding', scope: 'payments', identifier: 'b', spec: { principal: { type: 'user', id: 'ghost' }, role: 'org_admin', resourceGroup: 'all_org_level_resources' } }]), 400, 'request.invalid');
    problem(await apply([...many, { kind: 'Role', scope: 'platform', identifier: 'forbidden', spec: { level: 'org', permissions: [] } }], { as: 'editor' }), 404, 'access.not_found');
    const left = await server.sql<{ count: number }>(`select count(*)::int as count from resource where identifier like 'half%'`);
    assert.equal(left[0]!.count, 0);
    assert.deepEqual(told(await since()), [refused('manifest.apply', 'editor', 'platform')]);
  });

  test('takes 2,000 documents in one call and refuses one more', async () => {
    const documents = Array.from({ length: 2_001 }, (_, i) => ({ kind: 'ServiceAccount', scope: 'platform', identifier: `many_${i}`, spec }));
    const since = await auditMark(server);
    assert.equal(actions(await apply(documents.slice(0, 2_000))).length, 2_000);
    assert.equal((await since()).length, 2_000);
    problem(await apply(documents), 400, 'request.invalid');
  });

  test('and its dry run take as large a body', async () => {
    const documents = Array.from({ length: 900 }, (_, i) => ({ kind: 'ServiceAccount', scope: 'platform', identifier: `large_${i}`, description: 'x'.repeat(4_000), spec }));
    assert.equal(actions(await apply(documents, { path: 'manifests:plan' })).length, 900);
  });
});

describe('a set', () => {
  const member = (identifier: string) => ({ kind: 'ServiceAccount', scope: 'payments/refunds', identifier, spec });

  test('prunes what was last applied under it and nothing else', async () => {
    await apply([member('kept'), member('gone')], { set: 'team_a' });
    await apply([member('other')], { set: 'team_b' });
    await apply([member('loose')]);
    const since = await auditMark(server);
    assert.deepEqual(actions(await apply([member('kept')], { set: 'team_a', prune: true })), ['delete ServiceAccount payments/refunds/gone', 'unchanged ServiceAccount payments/refunds/kept']);
    assert.deepEqual(told(await since()), [row('service_account.delete', 'service_account payments/refunds/gone', { scope: 'payments/refunds' })]);
    for (const name of ['kept', 'other', 'loose']) assert.equal((await call({ method: 'GET', path: `${scopeApi(server, 'payments/refunds')}/service-accounts/${name}` })).status, 200);
  });

  test('is needed for pruning', async () => {
    problem(await apply([member('kept')], { prune: true }), 400, 'request.invalid');
  });

  test('takes a document over from another by a change one must be allowed to make', async () => {
    const since = await auditMark(server);
    problem(await apply([member('other')], { set: 'team_a', as: 'viewer' }), 403, 'access.denied');
    assert.deepEqual(actions(await apply([member('other')], { set: 'team_a' })), ['update ServiceAccount payments/refunds/other']);
    assert.deepEqual(actions(await apply([member('loose')], { set: 'team_b', prune: true })), ['update ServiceAccount payments/refunds/loose']);
    assert.deepEqual(told(await since()), [
      refused('manifest.apply', 'viewer', 'payments/refunds'),
      row('service_account.update', 'service_account payments/refunds/loose', { scope: 'payments/refunds' }),
      row('service_account.update', 'service_account payments/refunds/other', { scope: 'payments/refunds' }),
    ].toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)));
  });

  test('cannot be filled by a stranger so that its owner prunes what is not hers', async () => {
    await apply([member('precious')]);
    await apply([member('mine')], { set: 'team_c' });
    problem(await apply([member('precious')], { set: 'team_c', as: 'stranger' }), 404, 'access.not_found');
    assert.deepEqual(actions(await apply([member('mine')], { set: 'team_c', prune: true })), ['unchanged ServiceAccount payments/refunds/mine']);
  });

  test('prunes nothing that something else still refers to', async () => {
    await apply([member('needed'), member('also')], { set: 'team_d' });
    await apply([{ kind: 'UserGroup', scope: 'payments/refunds', identifier: 'needs', spec: { members: [{ type: 'service_account', id: 'needed' }] } }]);
    problem(await apply([member('also')], { set: 'team_d', prune: true }), 409, 'resource.referenced');
  });
});

describe('a list', () => {
  const names = (answer: RemoteAnswer): string[] => (answer.body as { items: { identifier: string }[] }).items.map((item) => item.identifier);
  const next = (answer: RemoteAnswer): string | null => (answer.body as { next: string | null }).next;
  const all = Array.from({ length: 12 }, (_, i) => `r${String(i).padStart(2, '0')}`);
  const shown = all.filter((_, i) => i % 3 === 0);
  const list = (query: string, as?: string) => call({ method: 'GET', path: `${scopeApi(server, 'lists')}/roles${query}`, ...(as === undefined ? {} : { as }) });

  before(async () => {
    await server.apply([
      { kind: 'Organization', identifier: 'lists', spec },
      ...all.map((identifier) => ({ kind: 'Role', scope: 'lists', identifier, spec: { level: 'org', permissions: [] } })),
      { kind: 'Role', identifier: 'role_reader', spec: { level: 'org', permissions: ['role.view'] } },
      { kind: 'ResourceGroup', scope: 'lists', identifier: 'every_third', spec: { resources: [{ type: 'role', identifiers: shown }] } },
    ]);
    tokens['third'] = (await makeUser(server, 'third', [{ role: 'account.role_reader', scope: 'lists', resourceGroup: 'every_third' }])).token;
  });

  async function pages(limit: number, as?: string): Promise<string[][]> {
    const found: string[][] = [];
    for (let query = `?limit=${limit}`; ; ) {
      const answer = await list(query, as);
      found.push(names(answer));
      const cursor = next(answer);
      if (cursor === null) return found;
      query = `?limit=${limit}&cursor=${encodeURIComponent(cursor)}`;
    }
  }

  test('comes in full pages, each item once, with no page after the last item', async () => {
    assert.deepEqual(await pages(5), [all.slice(0, 5), all.slice(5, 10), all.slice(10)]);
    assert.deepEqual(await pages(6), [all.slice(0, 6), all.slice(6)]);
    assert.deepEqual(await pages(12), [all]);
  });

  test('of one who sees some has full pages of those and no cursor that betrays the rest', async () => {
    assert.deepEqual(await pages(3, 'third'), [shown.slice(0, 3), shown.slice(3)]);
    assert.deepEqual(await pages(4, 'third'), [shown]);
  });

  test('goes on after items that were deleted between two pages', async () => {
    const first = await list('?limit=2');
    await call({ method: 'DELETE', path: `${scopeApi(server, 'lists')}/roles/r01` });
    assert.deepEqual(names(await list(`?limit=2&cursor=${next(first)}`)), ['r02', 'r03']);
    await server.apply([{ kind: 'Role', scope: 'lists', identifier: 'r01', spec: { level: 'org', permissions: [] } }]);
  });

  test('refuses a cursor of another caller, scope or kind, and one that was made up', async () => {
    const cursor = next(await list('?limit=2'))!;
    problem(await list(`?limit=2&cursor=${cursor}`, 'third'), 400, 'request.invalid');
    for (const path of [`${scopeApi(server, 'platform')}/roles`, `${scopeApi(server, 'lists')}/service-accounts`]) {
      problem(await call({ method: 'GET', path: `${path}?cursor=${cursor}` }), 400, 'request.invalid');
    }
    const flipped = `${cursor.startsWith('A') ? 'B' : 'A'}${cursor.slice(1)}`;
    for (const bad of ['', 'x', flipped, `${cursor}AA`]) problem(await list(`?limit=2&cursor=${bad}`), 400, 'request.invalid');
  });

  test('of a scope in which something is granted below is there and empty', async () => {
    await makeUser(server, 'below', [{ role: 'project_viewer', scope: 'payments/checkout' }]).then((made) => (tokens['below'] = made.token));
    for (const path of ['roles', 'orgs/payments/roles', 'orgs/payments/service-accounts']) {
      const answer = await call({ method: 'GET', path: `${server.api}/${path}`, as: 'below' });
      assert.deepEqual({ status: answer.status, body: answer.body }, { status: 200, body: { items: [], next: null } });
    }
  });
});

describe('deleting', () => {
  const org = (identifier: string) => `${server.api}/orgs/${identifier}`;

  test('names only referrers the caller may see', async () => {
    await server.apply([
      { kind: 'Organization', identifier: 'deleting', spec },
      { kind: 'ServiceAccount', scope: 'deleting', identifier: 'target', spec },
      { kind: 'UserGroup', scope: 'deleting', identifier: 'hidden_group', spec: { members: [{ type: 'service_account', id: 'target' }] } },
      { kind: 'UserGroup', scope: 'deleting', identifier: 'shown_group', spec: { members: [{ type: 'service_account', id: 'target' }] } },
      { kind: 'ResourceGroup', scope: 'deleting', identifier: 'some', spec: { resources: [{ type: 'service_account' }, { type: 'user_group', identifiers: ['shown_group'] }] } },
    ]);
    const { token } = await makeUser(server, 'deleter', [{ role: 'org_admin', scope: 'deleting', resourceGroup: 'some' }]);
    const { detail } = problem(await server.call({ method: 'DELETE', path: `${org('deleting')}/service-accounts/target`, token }), 409, 'resource.referenced');
    assert.match(detail!, /user_group `deleting\/shown_group`, 1 more$/);
  });

  test('by cascade leaves references dangling, and nothing revives them', async () => {
    await server.apply([
      { kind: 'Organization', identifier: 'dangling', spec },
      { kind: 'Role', scope: 'dangling', identifier: 'power', spec: { level: 'org', permissions: ['service_account.view'] } },
      { kind: 'ServiceAccount', scope: 'dangling', identifier: 'thing', spec },
    ]);
    const { token } = await makeUser(server, 'dangler', [{ role: 'power', scope: 'dangling' }]);
    const look = () => server.call({ method: 'GET', path: `${org('dangling')}/service-accounts/thing`, token });
    assert.equal((await look()).status, 200);
    assert.equal((await call({ method: 'DELETE', path: `${org('dangling')}/roles/power` })).status, 409);
    assert.equal((await call({ method: 'DELETE', path: `${org('dangling')}/roles/power?cascade=true` })).status, 204);
    assert.equal((await look()).status, 404);
    assert.equal((await call({ method: 'GET', path: `${org('dangling')}/role-bindings/dangler_0` })).status, 200, 'the binding is still there');
    await server.apply([{ kind: 'Role', scope: 'dangling', identifier: 'power', spec: { level: 'org', permissions: ['service_account.view', 'service_account.delete'] } }]);
    assert.equal((await look()).status, 404, 'a new role with the old name is another role');
    await server.apply([{ kind: 'RoleBinding', scope: 'dangling', identifier: 'dangler_0', spec: { principal: { type: 'user', id: 'dangler' }, role: 'power', resourceGroup: 'all_resources_including_child_scopes' } }]);
    assert.equal((await look()).status, 200, 'until somebody binds it again');
  });

  test('of a scope that holds something is refused, and by cascade takes all of it', async () => {
    await server.apply([
      { kind: 'Organization', identifier: 'falling', spec },
      { kind: 'Project', scope: 'falling', identifier: 'deep', spec },
      { kind: 'ServiceAccount', scope: 'falling/deep', identifier: 'robot', spec },
      { kind: 'UserGroup', identifier: 'outside', spec: { members: [] } },
    ]);
    const { detail } = problem(await call({ method: 'DELETE', path: org('falling').replace('/orgs/', '/organizations/') }), 409, 'resource.referenced');
    assert.match(detail!, /contains project `falling\/deep`, service_account `falling\/deep\/robot`/);
    const since = await auditMark(server);
    assert.equal((await call({ method: 'DELETE', path: `${server.api}/organizations/falling?cascade=true` })).status, 204);
    assert.deepEqual(told(await since()), [
      row('organization.delete', 'organization falling', { scope: '/' }),
      row('project.delete', 'project falling/deep', { scope: 'falling' }),
      row('service_account.delete', 'service_account falling/deep/robot', { scope: 'falling/deep' }),
    ].toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)));
    for (const path of ['orgs/falling/service-accounts', 'orgs/falling/projects/deep/service-accounts/robot', 'organizations/falling']) {
      problem(await call({ method: 'GET', path: `${server.api}/${path}` }), 404, 'access.not_found');
    }
    problem(await apply([{ kind: 'Organization', identifier: 'falling', spec }]), 409, 'resource.identifier_retired');
  });

  test('a scope by cascade needs the right to delete what is in it', async () => {
    await server.apply([
      { kind: 'Organization', identifier: 'guarded', spec },
      { kind: 'ServiceAccount', scope: 'guarded', identifier: 'robot', spec },
      { kind: 'Role', identifier: 'org_remover', spec: { level: 'org', permissions: ['organization.view', 'organization.delete'] } },
    ]);
    const { token } = await makeUser(server, 'remover', [{ role: 'account.org_remover', scope: 'guarded' }]);
    const remove = (cascade: boolean) => server.call({ method: 'DELETE', path: `${server.api}/organizations/guarded?cascade=${cascade}`, token });
    assert.doesNotMatch(problem(await remove(false), 409, 'resource.referenced').detail!, /robot/);
    problem(await remove(true), 404, 'access.not_found');
    assert.equal((await call({ method: 'GET', path: `${org('guarded')}/service-accounts/robot` })).status, 200);
  });

  test('and creating again is refused for identifiers that are never given out twice, and a new thing for others', async () => {
    const group = { kind: 'UserGroup', scope: 'payments', identifier: 'again', spec: { members: [] } };
    const uidOf = async () => ((await call({ method: 'GET', path: inPayments('user-groups/again') })).body as { uid: string }).uid;
    await apply([group]);
    const first = await uidOf();
    await call({ method: 'DELETE', path: inPayments('user-groups/again') });
    await apply([group]);
    assert.notEqual(await uidOf(), first);
  });
});

describe('an export', () => {
  interface Exported {
    readonly documents: Record<string, unknown>[];
    readonly next: string | null;
  }

  async function exportedIn(limit: number): Promise<Record<string, unknown>[]> {
    const documents: Record<string, unknown>[] = [];
    for (let query = `?limit=${limit}`; ; ) {
      const answer = await call({ method: 'GET', path: inPayments(`manifests${query}`) });
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      const part = answer.body as Exported;
      documents.push(...part.documents);
      if (part.next === null) return documents;
      assert.equal(part.documents.length, limit);
      query = `?limit=${limit}&cursor=${encodeURIComponent(part.next)}`;
    }
  }

  test('comes in full pages that hold everything once, kind by kind, by path', async () => {
    const whole = await exportedIn(200);
    assert.ok(whole.length > 10);
    for (const limit of [1, 3, whole.length - 1, whole.length, whole.length + 1]) assert.deepEqual(await exportedIn(limit), whole, `${limit} at a time`);
    const kinds = whole.map(({ kind }) => kind);
    assert.deepEqual([...new Set(kinds)].flatMap((kind) => kinds.filter((other) => other === kind)), kinds, 'no kind twice');
    for (const kind of new Set(kinds)) {
      const paths = whole.filter((document) => document['kind'] === kind).map(({ scope, identifier }) => `${String(scope)}/${String(identifier)}`);
      assert.deepEqual(paths, paths.toSorted());
    }
    const first = (await call({ method: 'GET', path: inPayments('manifests?limit=1') })).body as Exported;
    for (const path of [`${server.api}/manifests`, inPayments('roles')]) problem(await call({ method: 'GET', path: `${path}?cursor=${first.next}` }), 400, 'request.invalid');
  });

  test('is what can be applied again without a change, and holds only what the caller may see', async () => {
    const documents = await exportedIn(200);
    assert.deepEqual(new Set(actions(await apply(documents)).map((line) => line.split(' ')[0])), new Set(['unchanged']));
    const part = (await call({ method: 'GET', path: inPayments('manifests'), as: 'editor' })).body as { documents: { kind: string; scope: string }[] };
    assert.deepEqual(new Set(part.documents.map((document) => document.kind)), new Set(['ServiceAccount']));
    assert.ok(part.documents.length > 2);
    assert.ok(part.documents.every(({ scope }) => scope.startsWith('payments')));
  });

  test('omits the value of a secret, and applying it keeps the value', async () => {
    const secret = { kind: 'Secret', scope: 'payments', identifier: 'password', spec: { type: 'text', value: 'correct horse battery' } };
    const fields = (answer: RemoteAnswer) => (answer.body as { changes: { action: string; fields: string[] }[] }).changes.map(({ action, fields: list }) => [action, ...list].join(' '));
    await apply([secret]);
    const { documents } = (await call({ method: 'GET', path: inPayments('manifests') })).body as { documents: { kind: string; spec: object }[] };
    const exported = documents.find((document) => document.kind === 'Secret')!;
    assert.deepEqual(exported.spec, { type: 'text' });
    assert.deepEqual(fields(await apply([exported])), ['unchanged']);
    assert.deepEqual(fields(await apply([secret])), ['unchanged']);
    assert.deepEqual(fields(await apply([{ ...secret, spec: { ...secret.spec, value: 'another horse battery' } }])), ['update /spec/value']);
    const everywhere = await server.sql<{ rows: number }>(`select count(*)::int as rows from (
      select spec::text as text from resource union all select change::text from access_change union all select personal::text || coalesce(detail::text, '') from audit_event) as t where text like '%horse%'`);
    assert.equal(everywhere[0]!.rows, 0, 'the value is nowhere in the clear');
  });
});
