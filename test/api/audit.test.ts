import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { Client } from 'pg';
import type { Verification } from '#features/audit/feature.ts';
import { verifyExport } from '#features/audit/feature.ts';
import { checkpointText } from '#features/audit/leaf.ts';
import type { RemoteAnswer } from '#platform/remote.ts';
import { issue, issuerKey } from '#test/parties/tokens.ts';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { until } from '#test/until.ts';
import { problem } from './answers.ts';
import { auditMark, told } from './audit-rows.ts';
import { makeUser, scopeApi } from './principals.ts';

let server: TestServer;
let other: TestServer;
const tokens: Record<string, string> = {};

const account = (identifier: string, scope: string, more: object = {}) => ({ kind: 'ServiceAccount', scope, identifier, spec: {}, ...more });

before(async () => {
  server = await startTestServer();
  other = await startTestServer({ beside: server });
  await server.apply([
    { kind: 'Organization', identifier: 'payments', spec: {} },
    { kind: 'Project', scope: 'payments', identifier: 'checkout', spec: {} },
    { kind: 'Project', scope: 'payments', identifier: 'refunds', spec: {} },
    { kind: 'Role', identifier: 'auditor', spec: { level: 'account', permissions: ['audit.view'] } },
  ]);
  tokens['project'] = (await makeUser(server, 'of_project', [{ role: 'account.auditor', scope: 'payments/checkout' }])).token;
  tokens['org'] = (await makeUser(server, 'of_org', [{ role: 'account.auditor', scope: 'payments', resourceGroup: 'all_org_level_resources' }])).token;
  tokens['whole_org'] = (await makeUser(server, 'of_whole_org', [{ role: 'account.auditor', scope: 'payments' }])).token;
  tokens['account'] = (await makeUser(server, 'of_account', [{ role: 'auditor', resourceGroup: 'all_account_level_resources' }])).token;
  tokens['all'] = (await makeUser(server, 'of_all', [{ role: 'auditor' }])).token;
  await server.apply([account('one', 'payments'), account('two', 'payments/checkout'), account('three', 'payments/refunds')]);
});

interface Event {
  readonly id: string;
  readonly seq: number | null;
  readonly at: string;
  readonly actor: { readonly uid: string; readonly path: string | null } | null;
  readonly action: string;
  readonly resource: { readonly kind: string; readonly uid: string; readonly path: string } | null;
  readonly scope: string;
  readonly outcome: string;
  readonly session?: string;
  readonly claims?: Record<string, unknown>;
  readonly diff?: unknown;
  readonly erased?: readonly string[];
  readonly address?: string;
  readonly requestId: string;
}

function ask(query: Record<string, string> = {}, { scope = '/', as }: { scope?: string; as?: string } = {}): Promise<RemoteAnswer> {
  const text = new URLSearchParams(query).toString();
  return server.call({ method: 'GET', path: `${scopeApi(server, scope)}/audit${text === '' ? '' : `?${text}`}`, ...(as === undefined ? {} : { token: tokens[as]! }) });
}

async function list(query: Record<string, string> = {}, where: { scope?: string; as?: string } = {}): Promise<Event[]> {
  const answer = await ask({ limit: '200', ...query }, where);
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return (answer.body as { items: Event[] }).items;
}

async function verify(on: TestServer = server): Promise<Verification> {
  const answer = await on.call({ method: 'POST', path: `${server.api}/audit:verify` });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return answer.body as Verification;
}

/** As one, from parts of at most `limit` rows. */
async function verifyInParts(on: TestServer, limit: number): Promise<Verification & { next: null }> {
  const all = { rows: 0, checkpoints: 0, erasedFields: 0, findings: [] as Verification['findings'], next: null };
  for (let after: number | null = 0; after !== null; ) {
    const answer = await on.call({ method: 'POST', path: `${on.api}/audit:verify`, body: { after, limit } });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    const part = answer.body as Verification & { next: number | null };
    assert.ok(part.rows <= limit);
    for (const count of ['rows', 'checkpoints', 'erasedFields'] as const) all[count] += part[count];
    all.findings = [...all.findings, ...part.findings];
    after = part.next;
  }
  return all;
}

describe('a row and its act are one', () => {
  const boom = (on: string, when: string) => `
    create function boom() returns trigger language plpgsql as $$ begin raise exception 'boom'; end $$;
    create trigger boom before insert on ${on} for each row when (${when}) execute function boom()`;
  const calm = (on: string) => `drop trigger boom on ${on}; drop function boom`;

  test('an act that fails leaves no row', async () => {
    const since = await auditMark(server);
    await server.sql(boom('resource', `new.identifier = 'boom'`));
    const answer = await server.call({ method: 'POST', path: `${server.api}/manifests:apply`, body: { documents: [account('before_boom', 'payments'), account('boom', 'payments')] } });
    await server.sql(calm('resource'));
    problem(answer, 500, 'server.defect');
    assert.deepEqual(await since(), []);
  });

  test('a row that fails leaves no act', async () => {
    await server.sql(boom('audit_event', `new.action = 'service_account.create'`));
    const answer = await server.call({ method: 'POST', path: `${scopeApi(server, 'payments')}/service-accounts`, body: { identifier: 'unseen', spec: {} } });
    await server.sql(calm('audit_event'));
    problem(answer, 500, 'server.defect');
    problem(await server.call({ method: 'GET', path: `${scopeApi(server, 'payments')}/service-accounts/unseen` }), 404, 'access.not_found');
  });

  test('what a refused request would have done leaves the refusal alone', async () => {
    const since = await auditMark(server);
    const answer = await server.call({ method: 'POST', path: `${scopeApi(server, 'payments')}/service-accounts`, body: { identifier: 'never', spec: {} }, token: tokens['org']! });
    problem(answer, 404, 'access.not_found');
    assert.deepEqual(told(await since()).map(({ action, outcome, actor, scope }) => ({ action, outcome, actor, scope })), [
      { action: 'service_account.create', outcome: 'refused', actor: 'user:of_org', scope: 'payments' },
    ]);
  });
});

describe('numbering', () => {
  test('has no gaps and loses nothing with fifty writers on two nodes', async () => {
    const since = await auditMark(server);
    const writes = Array.from({ length: 50 }, (_, i) => {
      const node = i % 2 === 0 ? server : other;
      return node.call({ method: 'POST', path: `${scopeApi(server, 'payments/refunds')}/service-accounts`, body: { identifier: `writer_${i}`, spec: {} } });
    });
    const statuses = (await Promise.all(writes)).map((answer) => answer.status);
    const done = statuses.filter((status) => status === 201).length;
    assert.ok(statuses.every((status) => status === 201 || status === 409), statuses.join());
    assert.ok(done > 0);
    assert.equal((await since()).length, done);
    await until(async () => (await server.sql('select 1 from audit_pending limit 1')).length === 0, 'all rows are numbered');
    const [numbers] = await server.sql<{ rows: number; first: number; last: number; events: number }>(
      'select count(*)::int as rows, min(seq)::int as first, max(seq)::int as last, (select count(*)::int from audit_event) as events from audit_leaf');
    assert.deepEqual(numbers, { rows: numbers!.events, first: 1, last: numbers!.events, events: numbers!.events });
    for (const node of [server, other]) assert.deepEqual((await verify(node)).findings, []);
  });

  test('comes within a second of the act, and until then the row is shown without a number', async () => {
    await server.apply([account('numbered', 'payments')]);
    await until(async () => (await list({ action: 'service_account.create', resource: 'payments/numbered' }))[0]?.seq ?? null, 'the row has a number', { patienceMs: 1_000 });
  });

  test('and verifying agree while rows are written', async () => {
    const writing = Array.from({ length: 10 }, (_, i) => server.apply([account(`meanwhile_${i}`, 'payments')]));
    // One after the other on each node.
    const verdicts = Promise.all([server, other].map(async (node) => {
      for (let i = 0; i < 5; i++) assert.deepEqual((await verify(node)).findings, []);
    }));
    await Promise.all([...writing, verdicts]);
  });
});

describe('the list', () => {
  const key = issuerKey('RS256', 'k');
  let session: { readonly id: string; readonly requestId: string };

  before(async () => {
    await server.apply([
      { kind: 'TrustedIssuer', identifier: 'corporate', spec: { issuer: 'https://corporate.example', audiences: ['https://sallyport.example'], keys: { jwks: { keys: [key.jwk] } }, algorithms: ['RS256'] } },
      { kind: 'ClaimMapping', identifier: 'robots', spec: { issuer: 'corporate', when: [{ claim: '/client_id', equals: 'robot' }], grants: [{ role: 'org_viewer', scope: 'payments', resources: [{ type: 'service_account' }] }] } },
    ]);
    const now = Math.floor(server.clock.now().getTime() / 1_000);
    const token = issue(key, { iss: 'https://corporate.example', sub: 's', aud: 'https://sallyport.example', iat: now, exp: now + 300, client_id: 'robot', application_id: 'app_x', nested: { deep: [1, 2] } });
    const form = { grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', subject_token: token, subject_token_type: 'urn:ietf:params:oauth:token-type:jwt' };
    const answer = await server.call({ method: 'POST', path: '/accounts/default/oauth/token', form, token: null });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    const bearer = (answer.body as { access_token: string }).access_token;
    problem(await server.call({ method: 'DELETE', path: `${scopeApi(server, 'payments')}/service-accounts/one`, token: bearer }), 403, 'access.denied');
    const [made] = await list({ action: 'session.create' });
    session = { id: made!.session!, requestId: made!.requestId };
  });

  const filters: readonly [what: string, query: () => Record<string, string>, check: (event: Event) => boolean][] = [
    ['action', () => ({ action: 'service_account.create' }), (event) => event.action === 'service_account.create'],
    ['actor by path', () => ({ actor: 'user:of_org' }), (event) => event.actor?.path === 'of_org'],
    ['resource by path', () => ({ resource: 'payments/one' }), (event) => event.resource?.path === 'payments/one'],
    ['outcome', () => ({ outcome: 'refused' }), (event) => event.outcome === 'refused'],
    ['session', () => ({ session: session.id }), (event) => event.session === session.id],
    ['request', () => ({ requestId: session.requestId }), (event) => event.requestId === session.requestId],
    ['a claim', () => ({ claim: '{"application_id":"app_x"}' }), (event) => event.claims?.['application_id'] === 'app_x'],
    ['a claim inside a claim', () => ({ claim: '{"nested":{"deep":[2]}}' }), (event) => event.claims !== undefined],
    ['several at once', () => ({ action: 'service_account.delete', outcome: 'refused', claim: '{"client_id":"robot"}' }), (event) => event.action === 'service_account.delete' && event.claims?.['client_id'] === 'robot'],
  ];
  for (const [what, query, check] of filters) {
    test(`by ${what} has all of those and no others`, async () => {
      const [found, all] = [await list(query()), await list()];
      assert.ok(found.length > 0);
      assert.ok(found.every(check), JSON.stringify(found));
      assert.deepEqual(found.map((event) => event.id), all.filter(check).map((event) => event.id));
    });
  }

  test('by uid finds what has that uid', async () => {
    const one = (await list({ resource: 'payments/one' })).at(-1)!;
    assert.deepEqual((await list({ resource: one.resource!.uid })).map((event) => event.id), (await list({ resource: 'payments/one' })).map((event) => event.id));
    assert.ok((await list({ actor: one.actor!.uid })).some((event) => event.id === one.id));
  });

  test('by request, path or uid looks at those rows alone, however long the trail is', async () => {
    const long = '00000000-0000-7000-8000-00000000aaaa';
    await server.sql(`insert into audit_event (account_id, at, id, format, action, resource_uid, resource_path, scope, outcome, request_id, commitments, personal, leaf)
      select $1, now() - i * interval '1 second', gen_random_uuid(), 1, 'a.b', 'u' || i, 'p' || i, '/', 'success', 'r' || i, '{}', '{}', '' from generate_series(1, 5000) as i`, [long]);
    await server.sql('analyze audit_event');
    for (const [column, where] of [['request_id', `request_id = 'r7'`], ['resource_path', `(resource_uid = 'p7' or resource_path = 'p7')`]] as const) {
      const plan = await server.sql<Record<string, string>>(`explain select * from audit_event where account_id = '${long}' and ${where} order by at desc, id desc limit 51`);
      assert.match(plan.map((row) => row['QUERY PLAN']!).join('\n'), new RegExp(`Index Cond: .*${column} = `));
    }
  });

  test('by time takes the first moment in and the last one out', async () => {
    const all = await list();
    const [last, first] = [all[3]!, all[10]!];
    const found = await list({ since: first.at, until: last.at });
    assert.deepEqual(found.map((event) => event.id), all.filter((event) => event.at >= first.at && event.at < last.at).map((event) => event.id));
  });

  test('by a claim that nobody has, or a claim of another value, is empty', async () => {
    for (const claim of ['{"application_id":"app_y"}', '{"no_such":1}', '{"application_id":{"deep":1}}']) assert.deepEqual(await list({ claim }), []);
  });

  test('refuses filters that say nothing', async () => {
    for (const claim of ['', 'x', '[]', '{}', '"s"', '{"a":"\\u0000"}']) problem(await ask({ claim }), 400, 'request.invalid');
    for (const query of [{ since: 'yesterday' }, { outcome: 'maybe' }, { session: 'x' }, { limit: '0' }, { limit: '201' }]) problem(await ask(query as unknown as Record<string, string>), 400, 'request.invalid');
    problem(await ask({ action: 'a\0b' }), 400, 'request.malformed');
  });

  test('comes page by page, each row once, newest first', async () => {
    const query = { actor: 'user:admin', until: new Date(server.clock.now().getTime() - 1).toISOString() };
    const whole = (await list(query)).map((event) => event.id).slice(0, 20);
    const paged: string[] = [];
    let cursor: string | null = null;
    while (paged.length < whole.length) {
      const answer: RemoteAnswer = await ask({ ...query, limit: '3', ...(cursor === null ? {} : { cursor }) });
      const body = answer.body as { items: Event[]; next: string | null };
      paged.push(...body.items.map((event) => event.id));
      cursor = body.next;
      if (cursor === null) break;
    }
    assert.deepEqual(paged.slice(0, whole.length), whole);
    problem(await ask({ ...query, action: 'role.create', limit: '3', cursor: cursor! }), 400, 'request.invalid');
    const others = await server.call({ method: 'GET', path: `${server.api}/audit?${new URLSearchParams({ ...query, limit: '3', cursor: cursor! })}`, token: tokens['all']! });
    problem(others, 400, 'request.invalid');
  });

  test('tells who, from where, through which credential, and what changed', async () => {
    await server.apply([account('changed', 'payments', { name: 'Before' })]);
    await server.apply([account('changed', 'payments', { name: 'After' })]);
    const [event] = await list({ action: 'service_account.update', resource: 'payments/changed' });
    assert.equal(event!.actor?.path, 'admin');
    assert.equal(event!.address, '127.0.0.1');
    assert.match((event as unknown as { via: string }).via, /^personal:/);
    assert.deepEqual(event!.diff, [{ pointer: '/name', before: 'Before', after: 'After' }]);
  });

  const scopesSeen: readonly [who: string, at: string, seen: readonly string[]][] = [
    ['project', 'payments/checkout', ['payments/checkout']],
    ['org', 'payments', ['payments']],
    ['whole_org', 'payments', ['payments', 'payments/checkout', 'payments/refunds']],
    ['whole_org', 'payments/refunds', ['payments/refunds']],
    ['account', '/', ['/']],
    ['all', '/', ['/', 'payments', 'payments/checkout', 'payments/refunds']],
  ];
  for (const [who, scope, seen] of scopesSeen) {
    test(`shows an auditor of ${who} at ${scope} what happened in ${seen.join(', ')}`, async () => {
      assert.deepEqual([...new Set((await list({}, { scope, as: who })).map((event) => event.scope))].toSorted(), seen.toSorted());
      for (const event of await list({ below: 'false' }, { scope, as: who })) assert.equal(event.scope, scope);
    });
  }

  test('of any other scope is not there', async () => {
    for (const [who, scope] of [['project', 'payments/refunds'], ['project', 'payments'], ['project', '/'], ['org', 'payments/checkout'], ['org', '/'], ['account', 'payments']] as const) {
      problem(await ask({}, { scope, as: who }), 404, 'access.not_found');
    }
  });
});

describe('strangers', () => {
  test('are counted by what they tried and from where, in rows that do not grow with them', async () => {
    const summaries = () => server.sql<{ operation: string; code: string; addresses: string; count: number }>(`
      select detail ->> 'operation' as operation, detail ->> 'code' as code, detail ->> 'addresses' as addresses, sum((detail ->> 'count')::int)::int as count
      from audit_event where action = 'refusals.summary' and detail ->> 'operation' = 'environment.list' group by 1, 2, 3 order by 2`);
    const path = `${server.api}/environments`;
    await Promise.all(Array.from({ length: 60 }, (_, i) => server.call({ method: 'GET', path, token: i < 40 ? null : `unknown-${'x'.repeat(40)}` })));
    const found = await until(async () => {
      const rows = await summaries();
      return rows.reduce((sum, row) => sum + row.count, 0) === 60 && rows;
    }, 'the summaries add up');
    assert.deepEqual(found, [
      { operation: 'environment.list', code: 'credential.invalid', addresses: '127.0.0.0/24', count: 20 },
      { operation: 'environment.list', code: 'credential.missing', addresses: '127.0.0.0/24', count: 40 },
    ]);
    const [rows] = await server.sql<{ rows: number }>(`select count(*)::int as rows from audit_event where action = 'refusals.summary' and detail ->> 'operation' = 'environment.list'`);
    assert.ok(rows!.rows <= 4, `${rows!.rows} rows`);
  });
});

describe('an export', () => {
  async function exported(): Promise<string[]> {
    const lines: string[] = [];
    for (let after: number | null = 0; after !== null; ) {
      const answer = await server.call({ method: 'GET', path: `${server.api}/audit:export?after=${after}` });
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      lines.push(JSON.stringify(answer.body));
      after = (answer.body as { next: number | null }).next;
    }
    return lines;
  }

  const check = (lines: readonly string[], keys?: readonly Record<string, unknown>[]): Promise<Verification> =>
    verifyExport((async function* () { yield* lines; })(), keys === undefined ? null : { accountId: server.account.id, checkpoints: [], keys });

  let lines: string[];
  before(async () => {
    await server.apply(Array.from({ length: 1_100 }, (_, i) => account(`bulk_${i}`, 'payments/checkout')));
    await verify();
    lines = await exported();
  });

  test('of many rows comes in parts and verifies without the server as it does with it', async () => {
    assert.ok(lines.length > 1);
    const [offline, online] = [await check(lines), await verify()];
    assert.deepEqual({ ...offline, next: null }, online);
    assert.deepEqual(offline.findings, []);
  });

  const edited = (change: (batch: { rows: { event: Record<string, unknown>; seq: number }[]; checkpoints: { seq: number }[]; keys: unknown[] }) => void): string[] =>
    lines.map((line, i) => {
      if (i > 0) return line;
      const batch = JSON.parse(line) as Parameters<typeof change>[0];
      change(batch);
      return JSON.stringify(batch);
    });

  const tampering: readonly [how: string, lines: () => string[]][] = [
    ['a word changed', () => edited((batch) => void (batch.rows[5]!.event['action'] = 'harmless.read'))],
    ['a row missing', () => edited((batch) => void batch.rows.splice(7, 1))],
    ['two rows in another order', () => edited((batch) => void batch.rows.splice(3, 2, batch.rows[4]!, batch.rows[3]!))],
    ['its first part missing', () => lines.slice(1)],
    ['its last part missing', () => lines.slice(0, -1)],
    ['its keys missing', () => edited((batch) => void (batch.keys = []))],
  ];
  for (const [how, change] of tampering) test(`with ${how} is found out`, async () => assert.notDeepEqual((await check(change())).findings, []));

  test('signed over by somebody else is found out by who kept the keys', async () => {
    const { keys } = JSON.parse(lines[0]!) as { keys: Record<string, unknown>[] };
    const { publicKey } = generateKeyPairSync('ed25519');
    const theirs = [{ ...publicKey.export({ format: 'jwk' }), kid: keys[0]!['kid'], use: 'sig', alg: 'EdDSA' }];
    assert.deepEqual((await check(lines, keys)).findings, []);
    assert.notDeepEqual((await check(lines, theirs)).findings, []);
  });

  test('of two accounts is refused', async () => {
    const [first, ...others] = lines;
    await assert.rejects(check([first!, ...others.map((line) => line.replace(server.account.id, '00000000-0000-7000-8000-000000000001'))]), { code: 'request.malformed', say: /of two accounts/ });
  });

  test('that is none is refused', async () => {
    for (const bad of [[], ['{}'], ['not json'], ['[]']]) await assert.rejects(check(bad), { code: 'request.malformed' });
  });

  test('is for who may see the trail of every scope', async () => {
    for (const [who, status] of [['account', 404], ['project', 404], ['all', 200]] as const) {
      assert.equal((await server.call({ method: 'GET', path: `${server.api}/audit:export`, token: tokens[who]! })).status, status, who);
    }
  });
});

describe('verifying', () => {
  test('is done for one caller of an account at a time, and others are told to come back', async () => {
    const { api, adminToken, account: { id } } = await server.addAccount('verified_meanwhile');
    const ask = (path: string, token: string) => server.call({ method: 'POST', path: `${path}/audit:verify`, token });
    assert.equal((await ask(api, adminToken)).status, 200);
    const release = Promise.withResolvers<void>();
    const holding = server.database.transaction(async (tx) => {
      await tx.selectFrom('audit_head').selectAll().where('account_id', '=', id).forUpdate().execute();
      await release.promise;
    });
    const first = ask(api, adminToken);
    await until(async () => (await server.sql(`select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like '%audit_head%'`)).length > 0, 'the first is at it');
    const second = problem(await ask(api, adminToken), 503, 'server.busy');
    assert.equal(second.detail, 'the trail of the account is being verified already');
    assert.equal((await ask(server.api, server.adminToken)).status, 200, 'of another account');
    release.resolve();
    await holding;
    assert.equal((await first).status, 200);
    assert.equal((await ask(api, adminToken)).status, 200);
  });
});

describe('the application', () => {
  const statements = ['audit_event', 'audit_event_rest', 'audit_leaf', 'audit_checkpoint'].flatMap((table) =>
    [`delete from ${table}`, `truncate ${table}`, `update ${table} set account_id = account_id`, `drop table ${table}`, `alter table ${table} add column x int`].map((text) => [text] as const));
  for (const [text] of statements) {
    test(`may not ${text}`, async () => {
      const client = new Client({ ...server.rows.application });
      await client.connect();
      try {
        await assert.rejects(client.query(text), /permission denied|must be owner/);
      } finally {
        await client.end();
      }
    });
  }
});

describe('erasing a personal field', () => {
  test('keeps every proof and says that it was erased', async () => {
    const [event] = await list({ action: 'service_account.create', resource: 'payments/one' });
    await server.sql(`update audit_event set personal = personal - 'actor' - 'address' where id = $1`, [event!.id]);
    const { findings, erasedFields } = await verify();
    assert.deepEqual({ findings, erasedFields }, { findings: [], erasedFields: 2 });
    const [shown] = await list({ action: 'service_account.create', resource: 'payments/one' });
    assert.deepEqual(shown!.erased?.toSorted(), ['actor', 'address']);
    assert.equal(shown!.actor?.path, null);
  });
});

describe('somebody with the database and without the key', () => {
  const tables = ['audit_event', 'audit_leaf', 'audit_checkpoint', 'audit_head', 'signing_key'];
  let attacked: TestServer;
  let last: { seq: number };

  before(async () => {
    attacked = await startTestServer();
    for (const identifier of ['a', 'b', 'c', 'd']) {
      await attacked.apply([{ kind: 'Organization', identifier, spec: {} }, account('x', identifier), account('y', identifier)]);
      await verify(attacked);
    }
    // Nothing is written from here on, so that what was can be put back.
    [last] = (await attacked.sql<{ seq: number }>('select seq::int from audit_head')) as [{ seq: number }];
    assert.equal((await verify(attacked)).rows, last.seq);
    await attacked.sql(tables.map((table) => `create table kept_${table} as select * from ${table}`).join(';'));
  });

  async function putBack(): Promise<void> {
    await attacked.sql(tables.map((table) => `delete from ${table}; insert into ${table} select * from kept_${table}`).join(';'));
  }

  const event = (seq: number): string => `(select event_id from audit_leaf where seq = ${seq})`;
  const edits = ['actor_type', 'actor_uid', 'via', 'action', 'resource_kind', 'resource_uid', 'resource_path', 'scope', 'request_id'].map(
    (column): [string, () => string] => [`changes ${column}`, () => `update audit_event set ${column} = 'x' where id = ${event(3)}`]);

  const attacks: readonly [what: string, sql: () => string][] = [
    ...edits,
    ['changes the outcome', () => `update audit_event set outcome = 'failed' where id = ${event(3)}`],
    ['changes the detail', () => `update audit_event set detail = '{"a":1}' where id = ${event(3)}`],
    ['changes the time', () => `update audit_event set at = at + interval '1 ms' where id = ${event(3)}; update audit_leaf set event_at = event_at + interval '1 ms' where seq = 3`],
    ['changes the session', () => `update audit_event set session_id = gen_random_uuid() where id = ${event(3)}`],
    ['changes the format', () => `update audit_event set format = 2 where id = ${event(3)}`],
    ['changes a personal value', () => `update audit_event set personal = jsonb_set(personal, '{actor,value}', '{"path":"somebody"}') where id = ${event(3)}`],
    ['changes a salt', () => `update audit_event set personal = jsonb_set(personal, '{actor,salt}', '"00"') where id = ${event(3)}`],
    ['adds a personal field', () => `update audit_event set personal = personal || '{"claims":{"salt":"00","value":{"sub":"x"}}}' where id = ${event(3)}`],
    ['drops a commitment with its field', () => `update audit_event set personal = personal - 'actor', commitments = commitments - 'actor' where id = ${event(3)}`],
    ['deletes a row', () => `delete from audit_event where id = ${event(5)}`],
    ['deletes a row and its place', () => `delete from audit_event where id = ${event(5)}; delete from audit_leaf where seq = 5`],
    ['deletes a row and closes the gap', () => `delete from audit_event where id = ${event(5)}; delete from audit_leaf where seq = 5; update audit_leaf set seq = seq - 1000000 where seq > 5; update audit_leaf set seq = seq + 999999 where seq < 0`],
    ['swaps two rows', () => `create temp table swapped as select * from audit_leaf where seq in (5, 6); update audit_leaf set event_id = gen_random_uuid() where seq in (5, 6);
      update audit_leaf l set event_id = s.event_id, event_at = s.event_at, leaf = s.leaf from swapped s where l.seq + s.seq = 11 and l.seq in (5, 6)`],
    ['inserts a row', () => `insert into audit_event select account_id, at, gen_random_uuid(), format, actor_type, actor_uid, via, action, resource_kind, resource_uid, resource_path, scope, outcome, session_id, request_id, detail, commitments, personal, leaf from audit_event where id = ${event(3)}`],
    ['inserts a row at the end of the chain', () => `with made as (insert into audit_event select account_id, at, gen_random_uuid(), format, actor_type, actor_uid, via, action, resource_kind, resource_uid, resource_path, scope, outcome, session_id, request_id, detail, commitments, personal, leaf from audit_event where id = ${event(3)} returning *)
      insert into audit_leaf select account_id, ${last.seq + 1}, at, id, leaf, decode(repeat('00', 32), 'hex') from made`],
    ['cuts the end off', () => `delete from audit_event where id in (select event_id from audit_leaf where seq > ${last.seq - 3}); delete from audit_leaf where seq > ${last.seq - 3}`],
    ['cuts the end off with its checkpoint', () => cut(false)],
    ['cuts the end off with its checkpoint and the sequencer’s own account', () => cut(true)],
    ['cuts everything off', () => 'truncate audit_event, audit_leaf, audit_checkpoint, audit_head'],
    ['changes the link of a checkpoint', () => `update audit_checkpoint set link = decode(repeat('00', 32), 'hex') where seq = ${last.seq}`],
    ['changes the time of a checkpoint', () => `update audit_checkpoint set at = at + interval '1 ms' where seq = ${last.seq}`],
    ['changes the place of a checkpoint', () => `update audit_checkpoint set seq = seq - 1 where seq = ${last.seq}`],
    ['changes the signature of a checkpoint', () => `update audit_checkpoint set signature = decode(repeat('00', 64), 'hex') where seq = ${last.seq}`],
    ['deletes the last checkpoint', () => `delete from audit_checkpoint where seq = ${last.seq}`],
    ['deletes every checkpoint', () => 'delete from audit_checkpoint'],
  ];

  /** Everything after the last checkpoint but one. */
  function cut(head: boolean): string {
    const before = `(select max(seq) from audit_checkpoint where seq < ${last.seq})`;
    return `
      delete from audit_event where id in (select event_id from audit_leaf where seq > ${before});
      ${head ? `update audit_head set seq = ${before}, link = (select link from audit_checkpoint where seq = ${before});` : ''}
      delete from audit_leaf where seq > ${before};
      delete from audit_checkpoint where seq = ${last.seq}`;
  }

  for (const [what, sql] of attacks) {
    test(`is found out when he ${what}`, async () => {
      await attacked.sql(sql());
      try {
        assert.notDeepEqual((await verify(attacked)).findings, []);
        assert.notDeepEqual((await verifyInParts(attacked, 4)).findings, [], 'in parts');
      } finally {
        await putBack();
      }
    });
  }

  test('is not accused when he put everything back', async () => {
    const whole = await verify(attacked);
    assert.deepEqual(whole.findings, []);
    for (const limit of [1, 2, 7, last.seq - 1, last.seq, last.seq + 1]) assert.deepEqual(await verifyInParts(attacked, limit), whole, `${limit} rows at a time`);
  });

  test('with a trail too long for one request is not taken to have all of it verified', async () => {
    await attacked.sql('update audit_head set seq = seq + 100000');
    try {
      const refused = problem(await attacked.call({ method: 'POST', path: `${attacked.api}/audit:verify` }), 400, 'request.invalid');
      assert.deepEqual(refused.errors?.map(({ pointer }) => pointer), ['/after']);
    } finally {
      await putBack();
    }
  });

  test('is found out when he brings a key of his own and signs with it', async () => {
    const { privateKey } = generateKeyPairSync('ed25519');
    const [checkpoint] = await attacked.sql<{ account_id: string; seq: number; link: Buffer; at: Date }>('select account_id, seq::int, link, at from audit_checkpoint order by seq desc limit 1');
    const signature = sign(null, checkpointText({ accountId: checkpoint!.account_id, ...checkpoint! }), privateKey);
    await attacked.sql(`insert into signing_key select account_id, 'his', purpose, algorithm, $1, created_at, now() from signing_key where purpose = 'checkpoint'`, [privateKey.export({ format: 'der', type: 'pkcs8' })]);
    await attacked.sql(`update audit_checkpoint set key_id = 'his', signature = $1 where seq = $2`, [signature, checkpoint!.seq]);
    try {
      assert.match(JSON.stringify((await verify(attacked)).findings), /signature of the checkpoint is not valid/);
    } finally {
      await putBack();
    }
  });
});
