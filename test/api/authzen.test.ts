/** OpenID AuthZEN Authorization API 1.0, by its certification scenario and beyond. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { RemoteAnswer } from '#platform/remote.ts';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import type { Made } from './principals.ts';
import { makeUser } from './principals.ts';

let server: TestServer;
let base: string;
let application: Made;
let local: Made;
let nobody: Made;

const user = (id: string, properties?: object) => ({ type: 'user', id, ...(properties === undefined ? {} : { properties }) });
const act = (name: string, properties?: object) => ({ name, ...(properties === undefined ? {} : { properties }) });
const record = (id: string, properties?: object) => ({ type: 'record', id, ...(properties === undefined ? {} : { properties }) });

const group = (identifier: string, where?: object) => ({ kind: 'ResourceGroup', identifier, spec: { resources: [{ type: 'record', ...(where === undefined ? {} : { where }) }] } });
const role = (verb: string) => ({ kind: 'Role', identifier: `${verb}_records`, spec: { level: 'account', permissions: [`record.${verb}`] } });
const binding = (identifier: string, id: string, verb: string, resourceGroup: string) =>
  ({ kind: 'RoleBinding', identifier, spec: { principal: { type: 'user', id }, role: `${verb}_records`, resourceGroup } });

before(async () => {
  server = await startTestServer();
  base = `/accounts/${server.account.identifier}/access/v1`;
  await server.apply([
    { kind: 'Organization', identifier: 'payments', spec: {} },
    { kind: 'User', identifier: 'alice', spec: { email: 'alice@example.com' } },
    { kind: 'User', identifier: 'bob', spec: { email: 'bob@example.com' } },
    { kind: 'ResourceType', identifier: 'record', spec: { external: true, levels: ['account', 'org'], verbs: ['read', 'write', 'delete'], attributes: { status: 'string' } } },
    { kind: 'ExternalResource', identifier: 'record_1', spec: { type: 'record', id: 'record-1', attributes: { status: 'active' } } },
    { kind: 'ExternalResource', identifier: 'record_2', spec: { type: 'record', id: 'record-2', attributes: { status: 'archived' } } },
    ...['read', 'write', 'delete'].map(role),
    group('records'),
    group('open_records', { status: { notEquals: 'archived' } }),
    group('archived_for_admins', { status: { equals: 'archived' }, 'principal.role': { equals: 'admin' } }),
    group('softly', { 'action.soft': { equals: true } }),
    binding('alice_reads', 'alice', 'read', 'records'),
    binding('bob_reads', 'bob', 'read', 'records'),
    binding('alice_writes', 'alice', 'write', 'open_records'),
    binding('bob_writes', 'bob', 'write', 'archived_for_admins'),
    binding('alice_deletes', 'alice', 'delete', 'softly'),
    { kind: 'Role', identifier: 'asker', spec: { level: 'account', permissions: ['access.check'] } },
  ]);
  application = await makeUser(server, 'application', [{ role: 'asker' }]);
  local = await makeUser(server, 'local', [{ role: 'account.asker', scope: 'payments' }]);
  nobody = await makeUser(server, 'nobody');
});

const ask = (path: string, body: unknown, token = application.token): Promise<RemoteAnswer> => server.call({ method: 'POST', path: `${base}/${path}`, body, token });

/** As an application sends it: what our own client would never send included. */
async function raw(path: string, body: string | undefined, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${server.url}${base}/${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${application.token}`, 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body }),
  });
}

async function decision(body: object, token?: string): Promise<boolean> {
  const answer = await ask('evaluation', body, token);
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return (answer.body as { decision: boolean }).decision;
}

const alone = { subject: user('alice'), action: act('read'), resource: record('record-1') };

describe('an evaluation', () => {
  const rows: readonly [guarantee: string, body: object, expected: boolean][] = [
    ['1: alice reads', alone, true],
    ['2: alice writes what is active', { ...alone, action: act('write') }, true],
    ['3: bob reads', { ...alone, subject: user('bob') }, true],
    ['4: bob does not write', { ...alone, subject: user('bob'), action: act('write') }, false],
    ['5: alice does not write what is archived', { ...alone, action: act('write'), resource: record('record-2', { status: 'archived' }) }, false],
    ['6: an admin writes what is archived', { subject: user('bob', { role: 'admin' }), action: act('write'), resource: record('record-2', { status: 'archived' }) }, true],
    ['7: alice deletes softly', { ...alone, action: act('delete', { soft: true }) }, true],
    ['8: alice does not delete for good', { ...alone, action: act('delete', { soft: false }) }, false],
    ['context changes nothing', { ...alone, context: { time: '2025-06-27T18:03-07:00', ip: '192.168.1.1' } }, true],
    ['more properties than are looked at', { subject: user('alice', { department: 'Sales' }), action: act('read', { method: 'GET' }), resource: record('record-1', { owner: 'bob' }) }, true],
    ['unknown fields are ignored', { ...alone, foo: 'bar', futureField: { nested: true } }, true],
    ['what is stored wins over a lie about it', { ...alone, action: act('write'), resource: record('record-2', { status: 'active' }) }, false],
    ['what is not registered is as the application says', { ...alone, action: act('write'), resource: record('new', { status: 'draft' }) }, true],
    ['a full permission is a name too', { ...alone, action: act('record.read') }, true],
    ['a permission of another kind is not', { ...alone, action: act('secret.read') }, false],
    ['a group is never a caller', { ...alone, subject: { type: 'user_group', id: 'alice' } }, false],
    ['nobody of that name', { ...alone, subject: user('nonexistent') }, false],
    ['a type of subject we do not have', { ...alone, subject: { type: 'spaceship', id: 'alice' } }, false],
    ['a type of resource we do not have', { ...alone, resource: { type: 'spaceship', id: '1' } }, false],
    ['an action the type does not have', { ...alone, action: act('paint') }, false],
    ['a scope that is not there', { ...alone, resource: record('record-1', { scope: 'nowhere' }) }, false],
    ['a scope that is no text', { ...alone, resource: record('record-1', { scope: 7 }) }, false],
    ['the account by an empty scope', { ...alone, resource: record('record-1', { scope: '' }) }, true],
    ['another scope is another place', { ...alone, resource: record('record-1', { scope: 'payments' }) }, false],
    ['an inherited property is nobody’s role', { subject: user('bob', { constructor: { role: 'admin' } }), action: act('write'), resource: record('record-2') }, false],
    ['a property called __proto__ is a name like others', JSON.parse('{"subject":{"type":"user","id":"bob","properties":{"__proto__":{"role":"admin"}}},"action":{"name":"write"},"resource":{"type":"record","id":"record-2"}}') as object, false],
    ['a document of ours by its path', { subject: user('admin'), action: act('view'), resource: { type: 'organization', id: 'payments' } }, true],
    ['an empty id', { ...alone, resource: record('') }, true],
  ];
  for (const [guarantee, body, expected] of rows) test(guarantee, async () => assert.equal(await decision(body), expected));

  test('tells reasons when they are asked for by one who may explain', async () => {
    const asked = { ...alone, context: { reasons: true } };
    const told = await ask('evaluation', asked, server.adminToken);
    assert.deepEqual((told.body as { context?: { reasons: { binding: string }[] } }).context?.reasons[0]?.binding, 'alice_reads');
    assert.deepEqual((await ask('evaluation', asked)).body, { decision: true });
  });
});

describe('who asks', () => {
  test('about others needs access.check where the resource lies, and learns nothing else without it', async () => {
    const inPayments = { ...alone, resource: record('x', { scope: 'payments' }) };
    const nowhere = { ...alone, resource: record('x', { scope: 'nowhere' }) };
    assert.equal((await ask('evaluation', inPayments, local.token)).status, 200);
    for (const [body, token] of [[alone, local.token], [nowhere, local.token], [inPayments, nobody.token], [nowhere, nobody.token]] as const) {
      const answer = await ask('evaluation', body, token);
      assert.deepEqual([answer.status, typeof answer.body], [403, 'string']);
    }
  });

  test('about oneself anybody may ask', async () => {
    assert.equal(await decision({ ...alone, subject: user('nobody') }, nobody.token), false);
  });

  test('without a credential gets 401 and a text', async () => {
    const answer = await server.call({ method: 'POST', path: `${base}/evaluation`, body: alone, token: null });
    assert.deepEqual([answer.status, typeof answer.body], [401, 'string']);
  });
});

describe('a body that is broken', () => {
  const long = 'x'.repeat(513);
  const broken: readonly [guarantee: string, body: string | undefined, headers?: Record<string, string>][] = [
    ...(['subject', 'action', 'resource'] as const).map((part) => [`without ${part}`, JSON.stringify({ ...alone, [part]: undefined })] as [string, string]),
    ['a subject without type', JSON.stringify({ ...alone, subject: { id: 'alice' } })],
    ['a subject without id', JSON.stringify({ ...alone, subject: { type: 'user' } })],
    ['an action without name', JSON.stringify({ ...alone, action: {} })],
    ['a resource without type', JSON.stringify({ ...alone, resource: { id: '1' } })],
    ['a resource without id', JSON.stringify({ ...alone, resource: { type: 'record' } })],
    ['a subject that is a text', JSON.stringify({ ...alone, subject: 'alice' })],
    ['an action name that is a number', JSON.stringify({ ...alone, action: { name: 123 } })],
    ['properties that are a list', JSON.stringify({ ...alone, subject: user('alice', []) })],
    ['a context that is a text', JSON.stringify({ ...alone, context: 'now' })],
    ['an id of more than 512 bytes', JSON.stringify({ ...alone, resource: record(long) })],
    ['a list', '[]'],
    ['null', 'null'],
    ['no JSON', '{"subject":'],
    ['two members of one name', '{"subject":{"type":"user","id":"bob"},"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"record","id":"record-1"}}'],
    ['nothing', undefined],
    ['another content type', JSON.stringify(alone), { 'content-type': 'text/plain' }],
    ['a form', 'subject=alice', { 'content-type': 'application/x-www-form-urlencoded' }],
    ['a character no text may hold', JSON.stringify({ ...alone, subject: user('ali\0ce') })],
  ];
  for (const [guarantee, body, headers] of broken) {
    test(`is 400 and a text: ${guarantee}`, async () => {
      const answer = await raw('evaluation', body, headers);
      assert.equal(answer.status, 400);
      assert.equal(typeof (await answer.json()), 'string');
    });
  }
});

describe('the id of a request', () => {
  test('comes back as it was given, and is not needed', async () => {
    const given = await raw('evaluation', JSON.stringify(alone), { 'x-request-id': 'bfe9eb29-ab87-4ca3-be83-a1d5d8305716' });
    assert.equal(given.headers.get('x-request-id'), 'bfe9eb29-ab87-4ca3-be83-a1d5d8305716');
    assert.equal((await raw('evaluation', '{')).headers.get('x-request-id'), null);
    assert.equal((await raw('evaluation', '{', { 'x-request-id': 'id-of-what-failed' })).headers.get('x-request-id'), 'id-of-what-failed');
  });
});

describe('evaluations', () => {
  const decisions = async (body: object): Promise<boolean[]> => {
    const answer = await ask('evaluations', body);
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    return (answer.body as { evaluations: { decision: boolean }[] }).evaluations.map((one) => one.decision);
  };
  const archived = record('record-2', { status: 'archived' });

  const rows: readonly [guarantee: string, body: object, expected: boolean[]][] = [
    ['take defaults and keep the order', { subject: user('bob'), resource: record('record-1'), evaluations: [{ action: act('read') }, { action: act('write') }] }, [true, false]],
    ['look at the properties of each resource', { subject: user('alice'), action: act('write'), evaluations: [{ resource: record('record-1', { status: 'active' }) }, { resource: archived }] }, [true, false]],
    ['look at the properties of each subject', { action: act('write'), resource: archived, evaluations: [{ subject: user('alice') }, { subject: user('bob', { role: 'admin' }) }] }, [false, true]],
    ['need no defaults', { evaluations: [alone, { ...alone, subject: user('bob'), action: act('write') }] }, [true, false]],
    ['take an entity of an item whole', { action: act('write'), subject: user('bob', { role: 'admin' }), evaluations: [{ subject: { type: 'user', id: 'bob' }, resource: archived }] }, [false]],
    ['fall back for what an entity must have', { subject: user('alice'), action: act('write'), resource: { type: 'record' }, evaluations: [{ resource: { id: 'record-1' } }, { resource: archived }] }, [true, false]],
    ['answer no to an item that is broken', { subject: user('alice'), action: act('read'), evaluations: [{ resource: record('record-1') }, {}, 7, null, []] }, [true, false, false, false, false]],
    ['stop at the first denial', { subject: user('alice'), action: act('write'), options: { evaluations_semantic: 'deny_on_first_deny' }, evaluations: [{ resource: record('record-1') }, { resource: archived }, { resource: record('record-1') }] }, [true, false]],
    ['stop at the first permission', { subject: user('alice'), action: act('write'), options: { evaluations_semantic: 'permit_on_first_permit' }, evaluations: [{ resource: archived }, { resource: record('record-1') }, { resource: archived }] }, [false, true]],
    ['go on without being told how', { subject: user('alice'), action: act('write'), options: { another_option: 'value' }, evaluations: [{ resource: archived }, { resource: record('record-1') }] }, [false, true]],
  ];
  for (const [guarantee, body, expected] of rows) test(guarantee, async () => assert.deepEqual(await decisions(body), expected));

  for (const evaluations of [undefined, []]) {
    test(`that are ${evaluations === undefined ? 'missing' : 'none'} are one evaluation`, async () => {
      assert.deepEqual((await ask('evaluations', { ...alone, evaluations })).body, { decision: true });
    });
  }

  test('tell why an item failed', async () => {
    const { body } = await ask('evaluations', { ...alone, evaluations: [{ resource: record('x', { scope: 'payments' }) }, { subject: { type: 'user' } }] }, local.token);
    const [, second] = (body as { evaluations: { context?: { error?: { status: number } } }[] }).evaluations;
    assert.equal(second?.context?.error?.status, 403);
  });

  for (const [guarantee, body] of [
    ['a way to go on that does not exist', { ...alone, evaluations: [{}], options: { evaluations_semantic: 'guess' } }],
    ['a list that is none', { ...alone, evaluations: {} }],
    ['a default that is a text', { ...alone, subject: 'alice', evaluations: [{}] }],
    ['more than a thousand', { ...alone, evaluations: Array.from({ length: 1_001 }, () => ({})) }],
    ['none, and not one whole evaluation', { subject: user('alice'), evaluations: [] }],
  ] as const) {
    test(`are refused as a whole: ${guarantee}`, async () => {
      const answer = await ask('evaluations', body);
      assert.deepEqual([answer.status, typeof answer.body], [400, 'string']);
    });
  }
});

interface Results {
  readonly results: readonly { readonly id?: string; readonly name?: string; readonly type?: string }[];
  readonly page: { readonly next_token: string };
}

async function found(path: string, body: object): Promise<Results> {
  const answer = await ask(`search/${path}`, body);
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return answer.body as Results;
}

describe('a search', () => {
  const names = ({ results }: Results): string[] => results.map(({ id, name }) => id ?? name!).toSorted();

  const rows: readonly [guarantee: string, path: string, body: object, expected: readonly string[]][] = [
    ['finds the subjects that may read', 'subject', { subject: { type: 'user' }, action: act('read'), resource: record('record-1') }, ['admin', 'alice', 'bob']],
    ['looks at what is said of the subjects', 'subject', { subject: { type: 'user', properties: { role: 'admin' } }, action: act('write'), resource: record('record-2') }, ['admin', 'bob']],
    ['finds the registered resources', 'resource', { subject: user('alice'), action: act('read'), resource: { type: 'record' } }, ['record-1', 'record-2']],
    ['looks at what is stored of the resources', 'resource', { subject: user('alice'), action: act('write'), resource: { type: 'record' } }, ['record-1']],
    ['looks at what is said of the subject', 'resource', { subject: user('bob', { role: 'admin' }), action: act('write'), resource: { type: 'record' } }, ['record-2']],
    ['finds documents of ours', 'resource', { subject: user('admin'), action: act('view'), resource: { type: 'organization' } }, ['payments']],
    ['finds the actions', 'action', { subject: user('alice'), resource: record('record-1') }, ['read', 'write']],
    ['finds the actions of an admin', 'action', { subject: user('bob', { role: 'admin' }), resource: record('record-2', { status: 'archived' }) }, ['read', 'write']],
    ['ignores the id of what it looks for', 'subject', { subject: user('mallory'), action: act('read'), resource: record('record-1'), context: {} }, ['admin', 'alice', 'bob']],
    ['knows no such subject', 'action', { subject: user('nonexistent-user'), resource: record('record-1') }, []],
    ['knows no such type of subject', 'subject', { subject: { type: 'spaceship' }, action: act('read'), resource: record('record-1') }, []],
    ['knows no such type of resource', 'resource', { subject: user('alice'), action: act('read'), resource: { type: 'spaceship' } }, []],
    ['knows no such action', 'subject', { subject: { type: 'user' }, action: act('paint'), resource: record('record-1') }, []],
  ];
  for (const [guarantee, path, body, expected] of rows) test(guarantee, async () => assert.deepEqual(names(await found(path, body)), expected));

  test('is complete page by page', async () => {
    const body = { subject: { type: 'user' }, action: act('read'), resource: record('record-1') };
    const seen: string[] = [];
    let token = '';
    do {
      const page = await found('subject', { ...body, page: { limit: 1, ...(token === '' ? {} : { token }) } });
      assert.equal(page.results.length, 1);
      seen.push(page.results[0]!.id!);
      token = page.page.next_token;
    } while (token !== '');
    assert.deepEqual(seen, ['admin', 'alice', 'bob']);
  });

  test('refuses a token of another question', async () => {
    const body = { subject: { type: 'user' }, action: act('read'), resource: record('record-1') };
    const { page } = await found('subject', { ...body, page: { limit: 1 } });
    const answer = await ask('search/subject', { ...body, action: act('write'), page: { token: page.next_token } });
    assert.deepEqual([answer.status, typeof answer.body], [400, 'string']);
  });

  for (const [guarantee, path, body] of [
    ['subjects without an action', 'subject', { subject: { type: 'user' }, resource: record('record-1') }],
    ['resources without a subject', 'resource', { action: act('read'), resource: { type: 'record' } }],
    ['actions without a resource', 'action', { subject: user('alice') }],
    ['subjects of a resource without id', 'subject', { subject: { type: 'user' }, action: act('read'), resource: { type: 'record' } }],
    ['resources of a subject without id', 'resource', { subject: { type: 'user' }, action: act('read'), resource: { type: 'record' } }],
    ['a page of no length', 'subject', { subject: { type: 'user' }, action: act('read'), resource: record('record-1'), page: { limit: 0 } }],
  ] as const) {
    test(`is 400: ${guarantee}`, async () => assert.equal((await ask(`search/${path}`, body)).status, 400));
  }

  test('needs access.check', async () => {
    for (const path of ['subject', 'resource', 'action']) {
      assert.equal((await ask(`search/${path}`, alone, nobody.token)).status, 403);
    }
  });
});

describe('metadata', () => {
  const configuration = async (path: string) => (await server.call({ method: 'GET', path, token: null })) as RemoteAnswer & { body: Record<string, string> };

  test('names the decision point it was asked of, and endpoints that answer', async () => {
    for (const path of ['', `/accounts/${server.account.identifier}`]) {
      const { status, body } = await configuration(`/.well-known/authzen-configuration${path}`);
      assert.equal(status, 200);
      assert.ok(body['policy_decision_point']!.endsWith(path));
      for (const [name, url] of Object.entries(body)) {
        if (name === 'policy_decision_point') continue;
        assert.notEqual((await server.call({ method: 'POST', path: new URL(url).pathname, body: {}, token: application.token })).status, 404, url);
      }
    }
  });

  test('of an account that is not there is not there', async () => {
    assert.equal((await configuration('/.well-known/authzen-configuration/accounts/nowhere')).status, 404);
  });
});
