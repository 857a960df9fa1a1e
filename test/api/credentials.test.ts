import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Writable } from 'node:stream';
import { before, describe, test } from 'node:test';
import { hashToken, makeToken as tokenOfNobody } from '#features/credentials/token-form.ts';
import { keepBootstrapToken, makeSetupCode } from '#features/credentials/feature.ts';
import type { RemoteAnswer } from '#platform/remote.ts';
import { systemRandomness } from '#platform/clock.ts';
import { startTcpProxy } from '#test/parties/tcp-proxy.ts';
import type { TestAccount, TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { until } from '#test/until.ts';
import { problem } from './answers.ts';
import { auditMark, told } from './audit-rows.ts';
import { makeToken, makeUser } from './principals.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

const log = { text: '' };
const keepLog = new Writable({ write: (chunk, _encoding, done) => ((log.text += String(chunk)), done()) });
/** What clients of the database said, as they said it. */
const asked = { text: '' };

let server: TestServer;
before(async () => {
  server = await startTestServer({
    log: keepLog,
    way: async (login) => ({ ...login, ...(await startTcpProxy({ target: login, onRequest: (text) => (asked.text += text) })) }),
  });
  await server.apply([{ kind: 'Organization', identifier: 'payments', spec: {} }, { kind: 'ServiceAccount', scope: 'payments', identifier: 'ci', spec: {} }]);
});

const api = (path: string): string => `${server.api}/${path}`;
/** Something every token of an admin may do. */
const use = (token: string | null): Promise<RemoteAnswer> => server.call({ method: 'GET', path: api('organizations'), token });
const whoever = (token: string): Promise<RemoteAnswer> => server.call({ method: 'GET', path: api('api-tokens'), token });

async function emptyAccount(identifier: string): Promise<TestAccount & { readonly api: string }> {
  const { account, api: path } = await server.addEmptyAccount(identifier);
  return { ...account, api: path };
}

const codeFor = (account: TestAccount): Promise<string> => makeSetupCode({ database: server.database, clock: server.clock, randomness: systemRandomness }, account.id);

describe('a setup code', () => {
  const password = 'long enough for anybody';
  let account: Awaited<ReturnType<typeof emptyAccount>>;
  let refused = 0;
  const setup = async (code: string, more: object = {}): Promise<RemoteAnswer> => {
    const answer = await server.call({ method: 'POST', path: `${account.api}/setup`, token: null, body: { code, email: 'first@example.com', password, ...more } });
    if (answer.status === 401) refused += 1;
    return answer;
  };
  before(async () => void (account = await emptyAccount('being_set_up')));

  test('makes an administrator once, with a row for everything it makes', async () => {
    const code = await codeFor(account);
    const since = await auditMark(server);
    const answer = await setup(code);
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    const { user, token } = answer.body as { user: string; token: string };
    assert.equal(user, 'first');
    assert.equal((await server.call({ method: 'GET', path: `${account.api}/role-bindings`, token })).status, 200);
    assert.deepEqual(told(await since()).map(({ action, actor, resource }) => [action, actor, resource]), [
      ['role_binding.create', 'system:setup', 'role_binding setup_admin_first'],
      ['setup.complete', 'system:setup', 'user first'],
      ['user.create', 'system:setup', 'user first'],
    ]);
    problem(await setup(code), 401, 'credential.setup_code');
  });

  test('is used up by one of two who bring it at once', async () => {
    const code = await codeFor(account);
    const answers = await Promise.all([setup(code, { identifier: 'race_a' }), setup(code, { identifier: 'race_b' })]);
    assert.deepEqual(answers.map((answer) => answer.status).toSorted(), [201, 401]);
  });

  test('that is wrong, of another account, or no code at all is refused in the same words', async () => {
    const code = await codeFor({ id: server.account.id, identifier: 'default' });
    const answers = await Promise.all(['wrong', code, server.adminToken].map((text) => setup(text)));
    for (const answer of answers) problem(answer, 401, 'credential.setup_code');
  });

  test('is replaced by the next one', async () => {
    const first = await codeFor(account);
    const second = await codeFor(account);
    problem(await setup(first, { identifier: 'late' }), 401, 'credential.setup_code');
    assert.equal((await setup(second, { identifier: 'late' })).status, 201);
  });

  test('lives one hour', async () => {
    const code = await codeFor(account);
    server.clock.advance(hourMs);
    problem(await setup(code, { identifier: 'too_late' }), 401, 'credential.setup_code');
  });

  test('lets somebody in again who exists already, as its new administrator', async () => {
    const answer = await setup(await codeFor(account), { identifier: 'first' });
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
  });

  test('takes over nobody who has the same name by chance, and is good for another', async () => {
    const code = await codeFor(account);
    for (const more of [{ email: 'first@elsewhere.example' }, { email: 'other@example.com', identifier: 'first' }]) {
      const refusal = await setup(code, more);
      problem(refusal, 409, 'resource.exists');
      assert.match((refusal.body as { detail: string }).detail, /`first` with another e-mail address/);
    }
    const [user] = await server.sql<{ spec: { email: string } }>(`select spec from resource where account_id = $1 and kind = 'user' and identifier = 'first'`, [account.id]);
    assert.equal(user!.spec.email, 'first@example.com');
    assert.equal((await setup(code, { email: 'first@elsewhere.example', identifier: 'first_elsewhere' })).status, 201);
  });

  test('and a bootstrap token leave a row of the operator who had them made', async () => {
    const other = await emptyAccount('operated');
    await codeFor(other);
    await keepBootstrapToken({ database: server.database, clock: server.clock, randomness: systemRandomness }, other.id, `bootstrap-${'y'.repeat(40)}`);
    const rows = await server.sql<{ action: string; actor: string; resource: string; credential: string }>(
      `select e.action, e.actor_type || ':' || e.actor_uid as actor, e.resource_kind as resource, c.kind as credential
       from audit_event e join credential c on c.account_id = e.account_id and c.id::text = e.resource_uid where e.account_id = $1 order by e.at, e.id`, [other.id]);
    assert.deepEqual(rows, [
      { action: 'setup_code.create', actor: 'system:operator', resource: 'setup_code', credential: 'setup' },
      { action: 'api_token.create', actor: 'system:operator', resource: 'api_token', credential: 'bootstrap' },
    ]);
  });

  test('asks for a password of some length', async () => {
    problem(await setup(await codeFor(account), { identifier: 'short', password: 'too short' }), 400, 'request.invalid');
  });

  test('that was refused is counted, not written one by one', async () => {
    assert.ok(refused > 0);
    await until(async () => {
      const rows = await server.sql<{ count: number }>(
        `select sum((detail ->> 'count')::int)::int as count from audit_event where account_id = $1 and action = 'refusals.summary' and detail ->> 'code' = 'credential.setup_code'`, [account.id]);
      return rows[0]?.count === refused;
    }, 'the summaries of refused codes add up');
  });
});

describe('a token', () => {
  const make = (body: object, token?: string): Promise<RemoteAnswer> => server.call({ method: 'POST', path: api('api-tokens'), body: { name: 'of a test', ...body }, ...(token === undefined ? {} : { token }) });

  test('is shown once, works, is listed without its value, and ends when it is revoked', async () => {
    const since = await auditMark(server);
    const made = await make({});
    assert.equal(made.status, 201);
    const { token, id, ...shown } = made.body as Record<string, string>;
    assert.match(token!, /^sallyport_pat_[0-9A-Za-z]{49}$/);
    assert.deepEqual(Object.keys(shown).toSorted(), ['bounded', 'createdAt', 'createdBy', 'expiresAt', 'kind', 'mayAdminister', 'name', 'principal', 'revokedAt']);
    assert.equal((await use(token!)).status, 200);
    const listed = await server.call({ method: 'GET', path: api('api-tokens?limit=200') });
    assert.ok((listed.body as { items: { id: string }[] }).items.some((item) => item.id === id));
    assert.doesNotMatch(JSON.stringify(listed.body), /sallyport_pat_|hash/);
    assert.equal((await server.call({ method: 'DELETE', path: api(`api-tokens/${id}`) })).status, 204);
    problem(await use(token!), 401, 'credential.invalid');
    assert.deepEqual(told(await since()).map(({ action, resource }) => [action, resource]), [['api_token.create', `api_token ${id}`], ['api_token.delete', `api_token ${id}`]]);
  });

  test('of a service account has a prefix of its own', async () => {
    const { token } = await makeToken(server, { type: 'service_account', path: 'payments/ci' });
    assert.match(token, /^sallyport_sat_/);
    assert.equal((await whoever(token)).status, 200);
  });

  test('is kept as a hash', async () => {
    const { token } = await makeToken(server, { type: 'user', path: 'admin' });
    const rows = await server.sql<{ row: string }>('select credential::text as row from credential');
    assert.ok(rows.length > 1);
    for (const { row } of rows) assert.ok(!row.includes(token) && !row.includes(token.slice(20, 40)));
  });

  test('makes none that would outlive it, and one that is not told how long to live lives as long', async () => {
    const { token } = await makeToken(server, { type: 'user', path: 'admin' }, { ttl: '2h' });
    problem(await make({ ttl: '3h' }, token), 400, 'request.invalid');
    assert.equal((await make({ ttl: '1h' }, token)).status, 201);
    const unsaid = (await make({}, token)).body as { expiresAt: string; createdAt: string };
    assert.ok(Date.parse(unsaid.expiresAt) - Date.parse(unsaid.createdAt) <= 2 * hourMs);
  });

  test('that is narrowed revokes itself and no other of its principal', async () => {
    const bounds = [{ permissions: ['organization.view'] }];
    const narrowed = await makeToken(server, { type: 'user', path: 'admin' }, { bounds });
    const other = await makeToken(server, { type: 'user', path: 'admin' });
    const remove = (id: string) => server.call({ method: 'DELETE', path: api(`api-tokens/${id}`), token: narrowed.token });
    problem(await remove(other.tokenId), 404, 'access.not_found');
    assert.equal((await remove(narrowed.tokenId)).status, 204);
    problem(await use(narrowed.token), 401, 'credential.invalid');
  });

  test('that is narrowed is shown itself and no other of its principal, unless it may view them', async () => {
    const { token: whole } = await makeUser(server, 'narrowing', [{ role: 'account_admin' }]);
    const mine = (bounds: readonly object[]) => make({ bounds, ttl: '1h' }, whole).then(({ body }) => body as { token: string; id: string });
    const [narrowed, viewing] = [await mine([{ permissions: ['organization.view'] }]), await mine([{ permissions: ['api_token.view'] }])];
    const shown = async (token: string) => ((await whoever(token)).body as { items: { id: string }[] }).items.map(({ id }) => id);
    assert.deepEqual(await shown(narrowed.token), [narrowed.id]);
    assert.deepEqual((await shown(viewing.token)).length, 3);
    problem(await server.call({ method: 'GET', path: api('api-tokens?principal=user:admin'), token: narrowed.token }), 404, 'access.not_found');
  });

  test('of somebody else is revoked only with the right to', async () => {
    const { token } = await makeUser(server, 'bystander');
    const target = await makeToken(server, { type: 'user', path: 'admin' });
    const since = await auditMark(server);
    problem(await server.call({ method: 'DELETE', path: api(`api-tokens/${target.tokenId}`), token }), 404, 'access.not_found');
    assert.deepEqual(told(await since()).map(({ action, outcome, actor }) => [action, outcome, actor]), [['api_token.delete', 'refused', 'user:bystander']]);
    assert.equal((await use(target.token)).status, 200);
  });

  test('of a disabled user is nobody’s until the user is enabled again, also for what one does about oneself', async () => {
    const made = await makeUser(server, 'coming_and_going');
    const save = (disabled: boolean) => server.apply([{ kind: 'User', identifier: 'coming_and_going', spec: { email: 'c@example.com', ...(disabled ? { disabled } : {}) } }]);
    assert.equal((await whoever(made.token)).status, 200);
    await save(true);
    problem(await whoever(made.token), 401, 'credential.invalid');
    problem(await make({ ttl: '1h' }, made.token), 401, 'credential.invalid');
    await save(false);
    assert.equal((await whoever(made.token)).status, 200);
    assert.equal((await server.call({ method: 'DELETE', path: api('users/coming_and_going?cascade=true') })).status, 204);
    problem(await whoever(made.token), 401, 'credential.invalid');
  });

  test('that is revoked on one node is refused by another within a second', async () => {
    const other = await startTestServer({ beside: server });
    const { token, tokenId } = await makeToken(server, { type: 'user', path: 'admin' });
    const onOther = () => other.call({ method: 'GET', path: api('organizations'), token });
    assert.equal((await onOther()).status, 200);
    await server.call({ method: 'DELETE', path: api(`api-tokens/${tokenId}`) });
    await until(async () => (await onOther()).status === 401, 'the other node refuses it', { patienceMs: 1_000 });
    await other.stop();
  });

  test('that is none is refused whatever it looks like, and look-alikes never reach the database', async () => {
    const good = (await makeToken(server, { type: 'user', path: 'admin' })).token;
    const otherAccount = await server.addAccount('next_door');
    const lookAlikes = [good.slice(0, -1), `${good}0`, good.replace('pat', 'sat'), `sallyport_pat_${'A'.repeat(49)}`, 'sallyport_', 'sallyport_pat_', 'short', `${good}\u00e9`];
    await use(good);
    asked.text = '';
    for (const token of lookAlikes) problem(await use(token), 401, 'credential.invalid');
    assert.doesNotMatch(asked.text, /from "credential"/);
    for (const token of [tokenOfNobody('personal', randomBytes), tokenOfNobody('service_account', randomBytes), otherAccount.adminToken, good.toUpperCase(), 'x'.repeat(40)]) problem(await use(token), 401, 'credential.invalid');
    assert.match(asked.text, /from "credential"/, 'the look at the wire sees such questions');
  });

  test('that is none costs no look for what looks like a bootstrap token, where none lives', async () => {
    const other = await server.addAccount('set_up_long_ago');
    const ask = () => server.call({ method: 'GET', path: `${other.api}/organizations`, token: randomBytes(32).toString('hex') });
    problem(await ask(), 401, 'credential.invalid');
    asked.text = '';
    for (let i = 0; i < 20; i++) problem(await ask(), 401, 'credential.invalid');
    const looks = asked.text.match(/from "credential"/g)?.length ?? 0;
    assert.ok(looks < 20, `${looks} looks: now and then whether one lives`);
  });

  test('that is none opens no transaction when a stranger gives it back', async () => {
    const transactions = (): number => asked.text.match(/start transaction|begin/gi)?.length ?? 0;
    const strangers = 50;
    asked.text = '';
    for (let i = 0; i < strangers; i++) assert.equal((await server.call({ method: 'POST', path: '/accounts/default/oauth/revoke', form: { token: `garbage-${i}` }, token: null })).status, 200);
    assert.ok(transactions() < strangers, `${transactions()} transactions, those of the server's own work among them`);
    asked.text = '';
    await make({});
    assert.ok(transactions() > 0, 'the look at the wire sees transactions');
  });

  const headers: readonly [what: string, header: string | readonly string[]][] = [
    ['no scheme', 'TOKEN'], ['another scheme', 'Basic TOKEN'], ['two spaces', 'Bearer  TOKEN'], ['something after it', 'Bearer TOKEN x'], ['a quoted token', 'Bearer "TOKEN"'],
    ['an empty token', 'Bearer '], ['a token longer than any', `Bearer ${'x'.repeat(20_000)}`], ['a list', 'Bearer TOKEN, Bearer TOKEN'], ['two headers', ['Bearer TOKEN', 'Bearer TOKEN']],
  ];
  for (const [what, header] of headers) {
    test(`is not accepted with ${what}`, async () => {
      const values = [header].flat().map((value) => value.replaceAll('TOKEN', server.adminToken));
      assert.equal(await statusWith(values), 401);
    });
  }

  test('is accepted with the scheme in any case', async () => {
    for (const scheme of ['Bearer', 'bearer', 'BEARER']) assert.equal(await statusWith([`${scheme} ${server.adminToken}`]), 200);
  });

  test('in the query, the body or another header is no credential', async () => {
    for (const path of [`organizations?access_token=${server.adminToken}`, `organizations?token=${server.adminToken}`]) problem(await server.call({ method: 'GET', path: api(path), token: null }), 401, 'credential.missing');
    problem(await server.call({ method: 'GET', path: api('organizations'), token: null, headers: { 'x-authorization': `Bearer ${server.adminToken}`, cookie: `token=${server.adminToken}` } }), 401, 'credential.missing');
  });
});

/** Status of a read with exactly these `Authorization` headers. */
async function statusWith(values: readonly string[]): Promise<number> {
  const { request } = await import('node:http');
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const sent = request(`${server.url}${api('organizations')}`, (answer) => {
    answer.resume();
    resolve(answer.statusCode!);
  });
  sent.on('error', reject).setHeader('authorization', values.length === 1 ? values[0]! : [...values]);
  sent.end();
  return promise;
}

describe('the bootstrap token', () => {
  const token = `bootstrap-${'x'.repeat(40)}`;
  let account: TestAccount & { readonly api: string };
  const call = (method: string, path: string, body?: unknown) => server.call({ method, path: `${account.api}/${path}`, token, ...(body === undefined ? {} : { body }) });
  before(async () => {
    account = await emptyAccount('unattended');
    await keepBootstrapToken({ database: server.database, clock: server.clock, randomness: systemRandomness }, account.id, token);
  });

  test('installs what there is to install', async () => {
    const documents = [
      { kind: 'ServiceAccount', identifier: 'deployer', spec: {} },
      { kind: 'User', identifier: 'person', spec: { email: 'p@example.com' } },
      { kind: 'RoleBinding', identifier: 'deployer', spec: { principal: { type: 'service_account', id: 'deployer' }, role: 'account_admin', resourceGroup: 'all_resources_including_child_scopes' } },
    ];
    assert.equal((await call('POST', 'manifests:apply', { documents })).status, 200);
  });

  test('makes tokens of service accounts that outlive it, and of nobody else', async () => {
    const make = (principal: object | undefined, ttl: string) => call('POST', 'api-tokens', { name: 'n', ttl, mayAdminister: true, ...(principal === undefined ? {} : { principal }) });
    assert.equal((await make({ type: 'service_account', path: 'deployer' }, '90d')).status, 201);
    problem(await make({ type: 'user', path: 'person' }, '90d'), 400, 'request.invalid');
    problem(await make(undefined, '1h'), 400, 'request.invalid');
  });

  test('is found and revoked like another', async () => {
    const { items } = (await call('GET', 'api-tokens?principal=system:bootstrap')).body as { items: { id: string; kind: string }[] };
    assert.deepEqual(items.map((item) => item.kind), ['bootstrap']);
    assert.equal((await call('DELETE', `api-tokens/${items[0]!.id}`)).status, 204);
    problem(await call('GET', 'organizations'), 401, 'credential.invalid');
  });

  test('ends after a day', async () => {
    const next = await emptyAccount('for_a_day');
    await keepBootstrapToken({ database: server.database, clock: server.clock, randomness: systemRandomness }, next.id, token);
    const look = () => server.call({ method: 'GET', path: `${next.api}/organizations`, token });
    assert.equal((await look()).status, 200);
    server.clock.advance(dayMs);
    problem(await look(), 401, 'credential.invalid');
  });

  test('ends when setup has made the first administrator', async () => {
    const next = await emptyAccount('then_a_person');
    await keepBootstrapToken({ database: server.database, clock: server.clock, randomness: systemRandomness }, next.id, token);
    const look = () => server.call({ method: 'GET', path: `${next.api}/organizations`, token });
    assert.equal((await look()).status, 200);
    const body = { code: await codeFor(next), email: 'person@example.com', password: 'long enough for anybody' };
    assert.equal((await server.call({ method: 'POST', path: `${next.api}/setup`, token: null, body })).status, 201);
    problem(await look(), 401, 'credential.invalid');
  });

  test('that could be taken for another credential is not kept', async () => {
    for (const bad of [tokenOfNobody('personal', randomBytes), `eyJ${'x'.repeat(40)}`, `a.b.${'c'.repeat(40)}`, `with space ${'x'.repeat(40)}`]) {
      await assert.rejects(keepBootstrapToken({ database: server.database, clock: server.clock, randomness: systemRandomness }, account.id, bad), { code: 'config.unsafe' });
    }
  });
});

test('tokens end by the clock', async () => {
  const short = await makeToken(server, { type: 'user', path: 'admin' }, { ttl: '10m' });
  const usual = await makeToken(server, { type: 'user', path: 'admin' });
  server.clock.advance(10 * minuteMs);
  problem(await use(short.token), 401, 'credential.invalid');
  assert.equal((await use(usual.token)).status, 200);
  server.clock.advance(30 * dayMs);
  problem(await use(usual.token), 401, 'credential.invalid');
});

test('no line of the log holds a token, a code, a password or a hash of one', async () => {
  const secret = (await makeToken(server, { type: 'user', path: 'admin' })).token;
  const code = await codeFor(server.account);
  const password = 'a password nobody else has';
  await server.call({ method: 'POST', path: api('setup'), token: null, body: { code, email: 'l@example.com', password } });
  await server.call({ method: 'POST', path: api('setup'), token: null, body: { code, email: 'l@example.com', password, [secret]: 1 } });
  await server.call({ method: 'GET', path: api(`organizations?token=${secret}`), token: secret });
  await server.call({ method: 'GET', path: api(`organizations/${secret}`), token: secret });
  await server.call({ method: 'POST', path: api('organizations'), token: secret, body: { identifier: secret, spec: { secret } } });
  await server.sql('alter table resource rename to resource_away');
  assert.equal((await server.call({ method: 'GET', path: api('users'), token: secret })).status, 500);
  await server.sql('alter table resource_away rename to resource');
  assert.match(log.text, /request refused/, 'the log is kept');
  assert.match(log.text, /request failed/);
  for (const [name, value] of Object.entries({ secret, code, password, admin: server.adminToken })) {
    for (const text of [value, encodeURIComponent(value), Buffer.from(value).toString('base64'), hashToken(value).toString('hex'), hashToken(value).toString('base64')]) {
      assert.ok(!log.text.includes(text), `${name} is in the log`);
    }
  }
});
