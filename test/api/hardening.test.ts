/** What a stranger on the network can send, and what the server says to it. */
import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { before, describe, test } from 'node:test';
import type { TestServer, TestServerOptions } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { until } from '#test/until.ts';
import { problem, seen } from './answers.ts';
import { makeUser } from './principals.ts';
import type { RawAnswer, Wire } from './wire.ts';
import { openWire, sendRaw } from './wire.ts';

const log = { text: '' };
const keepLog = new Writable({ write: (chunk, _encoding, done) => ((log.text += String(chunk)), done()) });

let server: TestServer;
before(async () => {
  server = await startTestServer({ log: keepLog });
  await server.apply([{ kind: 'Organization', identifier: 'payments', spec: {} }]);
});

const host = 'Host: 127.0.0.1\r\n';
const bearer = (): string => `Authorization: Bearer ${server.adminToken}\r\n`;
const code = (answer: RawAnswer): string => (JSON.parse(answer.body) as { code: string }).code;

/** On every answer there is, however early it was refused. */
function assertHardened({ status, headers, body }: RawAnswer): void {
  assert.equal(headers['x-content-type-options'], 'nosniff', JSON.stringify(headers));
  assert.equal(headers['x-frame-options'], 'DENY');
  assert.equal(headers['referrer-policy'], 'no-referrer');
  assert.match(headers['content-security-policy']!, /default-src 'none'/);
  assert.equal(headers['cross-origin-resource-policy'], 'same-origin');
  assert.match(headers['cache-control']!, /no-store|max-age/);
  assert.match(headers['sallyport-request-id']!, /^[0-9a-f-]{36}$/);
  for (const name of ['server', 'x-powered-by', 'access-control-allow-origin']) assert.equal(headers[name], undefined, name);
  if (status >= 400 && body !== '') {
    assert.equal((JSON.parse(body) as { instance?: string }).instance, headers['sallyport-request-id']);
    assert.doesNotMatch(body, /node_modules|\.ts:|at \w+ \(|stack|fastify/i);
  }
}

interface Row {
  readonly it: string;
  readonly send: () => string;
  readonly status: number;
  readonly code?: string;
}

const account = '/api/v1/accounts/default';
const get = (path: string, headers = ''): string => `GET ${path} HTTP/1.1\r\n${host}${headers}\r\n`;

const rows: readonly Row[] = [
  { it: 'an answer that is fine', send: () => get(`${account}/organizations`, bearer()), status: 200 },
  { it: 'liveness', send: () => get('/healthz'), status: 200 },
  { it: 'readiness', send: () => get('/readyz'), status: 200 },
  { it: 'a path that is not there', send: () => get('/nothing'), status: 404, code: 'access.not_found' },
  { it: 'the root', send: () => get('/'), status: 404, code: 'access.not_found' },
  { it: 'a collection that is not there', send: () => get(`${account}/nothing`, bearer()), status: 404, code: 'access.not_found' },
  { it: 'a slash too many at the end', send: () => get(`${account}/organizations/`, bearer()), status: 400, code: 'request.invalid' },
  { it: 'a slash too many inside', send: () => get('/api/v1//accounts/default/organizations', bearer()), status: 404, code: 'access.not_found' },
  { it: 'dots in the path', send: () => get(`${account}/orgs/../organizations`, bearer()), status: 404, code: 'access.not_found' },
  { it: 'encoded dots as a scope', send: () => get(`${account}/orgs/%2e%2e/roles`, bearer()), status: 404, code: 'access.not_found' },
  { it: 'an encoded slash as a scope', send: () => get(`${account}/orgs/payments%2Fcheckout/roles`, bearer()), status: 404, code: 'access.not_found' },
  { it: 'an encoded slash as an identifier', send: () => get(`${account}/organizations/payments%2Fx`, bearer()), status: 400, code: 'request.invalid' },
  { it: 'an empty scope', send: () => get(`${account}/orgs//roles`, bearer()), status: 404, code: 'access.not_found' },
  { it: 'escapes that are none', send: () => get(`${account}/organizations/%zz`, bearer()), status: 404, code: 'access.not_found' },
  { it: 'escapes that are no UTF-8', send: () => get(`${account}/organizations/%ff%fe`, bearer()), status: 404, code: 'access.not_found' },
  { it: 'an escaped zero', send: () => get(`${account}/organizations/a%00b`, bearer()), status: 400, code: 'request.malformed' },
  { it: 'a name longer than any', send: () => get(`${account}/organizations/${'a'.repeat(600)}`, bearer()), status: 404, code: 'access.not_found' },
  { it: 'another case in the path', send: () => get('/API/v1/accounts/default/organizations', bearer()), status: 404, code: 'access.not_found' },
  ...['__proto__', 'constructor', 'toString', 'nobody', 'Default', '%2e', '..', 'default%00', 'default '.replace(' ', '%20')].map((name): Row =>
    ({ it: `the account ${name}`, send: () => get(`/api/v1/accounts/${name}/organizations`, bearer()), status: 401, code: 'credential.invalid' })),
  ...['__proto__', 'constructor', 'hasOwnProperty'].map((name): Row =>
    ({ it: `the org ${name}`, send: () => get(`${account}/orgs/${name}/roles`, bearer()), status: 404, code: 'access.not_found' })),
  ...['PUT', 'PATCH', 'DELETE', 'OPTIONS'].map((method): Row =>
    ({ it: `the method ${method} where it is not offered`, send: () => `${method} ${account}/organizations HTTP/1.1\r\n${host}${bearer()}\r\n`, status: 405, code: 'request.method' })),
  { it: 'a method nobody offers', send: () => `PROPFIND ${account}/organizations HTTP/1.1\r\n${host}${bearer()}\r\n`, status: 404, code: 'access.not_found' },
  { it: 'a method that is none', send: () => `BREW /pot HTTP/1.1\r\n${host}\r\n`, status: 400, code: 'request.malformed' },
  { it: 'what is no HTTP', send: () => 'hello\r\n\r\n', status: 400, code: 'request.malformed' },
  { it: 'a header larger than 32 KiB', send: () => get('/healthz', `X-Large: ${'x'.repeat(40_000)}\r\n`), status: 431, code: 'request.headers_too_large' },
  { it: 'more than a hundred headers', send: () => get('/healthz', Array.from({ length: 150 }, (_, i) => `X-${i}: 1\r\n`).join('')), status: 431, code: 'request.headers_too_large' },
  { it: 'a header with a line break folded in', send: () => get('/healthz', 'X-A: b\r\n c: d\r\n'), status: 400, code: 'request.malformed' },
  { it: 'a header name with a space', send: () => get('/healthz', 'X A: b\r\n'), status: 400, code: 'request.malformed' },
  { it: 'two lengths', send: () => `POST ${account}/access:check HTTP/1.1\r\n${host}${bearer()}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} `, status: 400, code: 'request.malformed' },
  { it: 'a length and chunks', send: () => `POST ${account}/access:check HTTP/1.1\r\n${host}${bearer()}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, status: 400, code: 'request.malformed' },
  { it: 'a length that is none', send: () => `POST ${account}/access:check HTTP/1.1\r\n${host}${bearer()}Content-Length: -1\r\n\r\n`, status: 400, code: 'request.malformed' },
  { it: 'a chunk that is none', send: () => `POST ${account}/access:check HTTP/1.1\r\n${host}${bearer()}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`, status: 400, code: 'request.malformed' },
  { it: 'a body without a type', send: () => `POST ${account}/access:check HTTP/1.1\r\n${host}${bearer()}Content-Length: 2\r\n\r\n{}`, status: 415, code: 'request.unsupported_type' },
  { it: 'a body in another encoding', send: () => `POST ${account}/access:check HTTP/1.1\r\n${host}${bearer()}Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00`, status: 400, code: 'request.malformed' },
  { it: 'a body that begins with a byte order mark', send: () => `POST ${account}/access:check HTTP/1.1\r\n${host}${bearer()}Content-Type: application/json\r\nContent-Length: 5\r\n\r\n\xef\xbb\xbf{}`, status: 400, code: 'request.malformed' },
  { it: 'two credentials', send: () => get(`${account}/organizations`, bearer() + bearer()), status: 401, code: 'credential.invalid' },
  { it: 'an upgrade', send: () => get('/healthz', 'Connection: Upgrade\r\nUpgrade: websocket\r\n'), status: 200 },
];

describe('the server answers in its own words, with its headers and a request id', () => {
  for (const { it, send, status, code: expected } of rows) {
    test(it, async () => {
      const answer = await sendRaw(server.url, send());
      assert.equal(answer.status, status, answer.body);
      if (expected !== undefined) assert.equal(code(answer), expected);
      assertHardened(answer);
    });
  }

  test('and names what a path does offer', async () => {
    const answer = await sendRaw(server.url, `DELETE ${account}/organizations HTTP/1.1\r\n${host}\r\n`);
    assert.deepEqual(answer.headers['allow']!.split(', ').toSorted(), ['GET', 'POST']);
  });

  test('an unknown account is an account one may not enter, byte for byte', async () => {
    const ask = (name: string, token: string | null) => server.call({ method: 'GET', path: `/api/v1/accounts/${name}/organizations`, token });
    const other = `x${server.adminToken.slice(1)}`;
    for (const token of [null, other]) assert.deepEqual(seen(await ask('nobody', token)), seen(await ask('default', token)));
  });

  test('no request id comes from outside', async () => {
    const answer = await sendRaw(server.url, get('/healthz', 'X-Request-Id: mine\r\nSallyport-Request-Id: mine\r\nRequest-Id: mine\r\n'));
    assert.doesNotMatch(JSON.stringify(answer), /mine/);
  });

  test('no two requests have the same id', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => sendRaw(server.url, get('/healthz'))));
    assert.equal(new Set(answers.map((answer) => answer.headers['sallyport-request-id'])).size, 20);
  });
});

describe('a defect', () => {
  test('shows its request id and nothing else, and the log has the rest', async () => {
    await server.sql('alter table resource rename to resource_away');
    const answer = await sendRaw(server.url, get(`${account}/users/admin`, bearer()));
    await server.sql('alter table resource_away rename to resource');
    assert.equal(answer.status, 500);
    const { instance, ...body } = JSON.parse(answer.body) as Record<string, unknown>;
    assert.deepEqual(body, { type: 'https://sallyport.dev/errors#server.defect', title: 'the server made a mistake', status: 500, code: 'server.defect', help: 'give the request id to the operator' });
    assertHardened(answer);
    const line = log.text.split('\n').find((text) => text.includes(String(instance)) && text.includes('request failed'))!;
    assert.match(line, /relation .*resource.* does not exist/);
  });
});

describe('what is shown to the scraper', () => {
  test('has no word that a caller sent', async () => {
    const marks = ['markedpath', 'markedquery', 'markedagent', 'markedaccount', 'markedorg', 'markedname', 'markedmethod'];
    await sendRaw(server.url, get(`/markedpath?markedquery=markedquery`, 'User-Agent: markedagent\r\n'));
    await sendRaw(server.url, get('/api/v1/accounts/markedaccount/organizations', bearer()));
    await sendRaw(server.url, get(`${account}/orgs/markedorg/roles`, bearer()));
    await server.call({ method: 'POST', path: `${account}/organizations`, body: { identifier: 'markedname', spec: {} } });
    await sendRaw(server.url, `MARKEDMETHOD / HTTP/1.1\r\n${host}\r\n`);
    const metrics = await sendRaw(server.url, get('/metrics'));
    assert.equal(metrics.status, 200);
    assertHardened(metrics);
    assert.match(metrics.body, /sallyport_requests_total\{operation="organization.create",status="201"\}/);
    for (const mark of [...marks, 'default', 'admin', server.account.id]) assert.ok(!metrics.body.toLowerCase().includes(mark), mark);
  });
});

/** Another node with other settings; ends with the test. */
async function withServer(settings: NonNullable<TestServerOptions['settings']>, use: (own: TestServer) => Promise<void>): Promise<void> {
  const own = await startTestServer({ beside: server, settings });
  try {
    await use(own);
  } finally {
    await own.stop();
  }
}

/** A request whose body does not come yet. */
async function pending(own: TestServer, body = '{"permission":"role.view","resource":"x"}'): Promise<{ wire: Wire; finish: () => Promise<RawAnswer> }> {
  const wire = await openWire(own.url);
  wire.write(`POST ${account}/access:check HTTP/1.1\r\n${host}Authorization: Bearer ${own.adminToken}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`);
  return { wire, finish: () => (wire.write(body), wire.answer()) };
}

describe('time', () => {
  test('a body that does not come, a head that does not end and a body that trickles are given up on', async () => {
    await withServer({ requestTimeoutMs: 400 }, async (own) => {
      const [body, head, trickle] = await Promise.all([pending(own), openWire(own.url), pending(own)]);
      head.write(`GET /healthz HTTP/1.1\r\n${host}X-A: `);
      const drip = setInterval(() => trickle.wire.write(' '), 50);
      const answers = await Promise.all([body.wire.answer(), head.answer(), trickle.wire.answer()]);
      clearInterval(drip);
      for (const answer of answers) {
        assert.equal(answer.status, 408, answer.body);
        assert.equal(code(answer), 'request.timeout');
        assertHardened(answer);
      }
    });
  });

  test('work that takes too long is answered all the same', async () => {
    await withServer({ requestTimeoutMs: 400 }, async (own) => {
      await own.sql(`create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(1.5); return new; end $$;
        create trigger slow before insert on resource for each row when (new.identifier = 'slow') execute function slow()`);
      problem(await own.call({ method: 'POST', path: `${account}/organizations`, body: { identifier: 'slow', spec: {} } }), 408, 'request.timeout');
    });
  });
});

describe('a body', () => {
  const head = (path: string, bytes: number, bearerOf: string | null): string =>
    `POST ${path} HTTP/1.1\r\n${host}${bearerOf === null ? '' : `Authorization: Bearer ${bearerOf}\r\n`}Content-Type: application/json\r\nContent-Length: ${bytes}\r\n\r\n`;

  for (const [who, token] of [['without a credential', null], ['with a made-up one', `x${'y'.repeat(40)}`]] as const) {
    test(`of a stranger ${who} is not waited for, and let go by when it comes`, async () => {
      const wire = await openWire(server.url);
      const bytes = 3 * 1024 * 1024;
      wire.write(head(`${account}/manifests:apply`, bytes, token));
      assert.equal((await wire.answer()).status, 401);
      wire.write('x'.repeat(bytes));
      wire.write(get(`${account}/organizations`, bearer()));
      assert.equal((await wire.answer()).status, 200, 'the connection goes on');
      wire.close();
    });
  }

  test('is small where anybody may send one', async () => {
    const wire = await openWire(server.url);
    wire.write(head(`${account}/setup`, 100_000, null));
    const answer = await wire.answer();
    assert.deepEqual([answer.status, code(answer)], [413, 'request.too_large']);
    wire.close();
  });

  test('in chunks is refused as soon as there is too much of it', async () => {
    const wire = await openWire(server.url);
    wire.write(`POST ${account}/setup HTTP/1.1\r\n${host}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`);
    const chunk = 'x'.repeat(0x4000);
    for (let i = 0; i < 5; i++) wire.write(`4000\r\n${chunk}\r\n`);
    const answer = await wire.answer();
    assert.deepEqual([answer.status, code(answer)], [413, 'request.too_large']);
    wire.close();
  });

  test('that breaks off leaves nothing waiting', async () => {
    await withServer({ maxInFlight: 1 }, async (own) => {
      const { wire } = await pending(own);
      wire.write('{"permission"');
      wire.close();
      await until(async () => (await own.call({ method: 'GET', path: `${account}/organizations` })).status === 200, 'there is room again');
    });
  });
});

describe('concurrency', () => {
  test('beyond the limit is refused at the head of a request, while those let in go on and liveness answers', async () => {
    await withServer({ maxInFlight: 2 }, async (own) => {
      const held = await Promise.all([pending(own), pending(own)]);
      await until(async () => {
        const answer = await sendRaw(own.url, get(`${account}/organizations`, `Authorization: Bearer ${own.adminToken}\r\n`));
        if (answer.status !== 503) return false;
        assert.equal(code(answer), 'server.busy');
        assert.match(answer.headers['retry-after']!, /^\d+$/);
        assertHardened(answer);
        return true;
      }, 'the limit is reached');
      assert.equal((await sendRaw(own.url, get('/healthz'))).status, 200);
      for (const { finish } of held) assert.equal((await finish()).status, 200);
      assert.equal((await sendRaw(own.url, get(`${account}/organizations`, `Authorization: Bearer ${own.adminToken}\r\n`))).status, 200);
      for (const { wire } of held) wire.close();
    });
  });

  test('counts no request of a client that left', async () => {
    await withServer({ maxInFlight: 1 }, async (own) => {
      for (let i = 0; i < 5; i++) {
        const { wire } = await pending(own);
        wire.close();
      }
      await until(async () => (await own.call({ method: 'GET', path: `${account}/organizations` })).status === 200, 'there is room again');
    });
  });
});

describe('rates', () => {
  test('beyond the burst are refused with the time to wait, for that caller alone', async () => {
    await withServer({ requestsPerSecond: 1, requestBurst: 60 }, async (own) => {
      const [{ token }, { token: other }] = [await makeUser(server, 'busy'), await makeUser(server, 'calm')];
      const ask = (as: string) => own.call({ method: 'GET', path: `${account}/api-tokens`, token: as });
      const answers = await Promise.all(Array.from({ length: 100 }, () => ask(token)));
      const served = answers.filter((answer) => answer.status === 200).length;
      assert.ok(served >= 60, `all of the burst is served at once, also when it is asked for at once: ${served}`);
      const refused = answers.find((answer) => answer.status !== 200)!;
      problem(refused, 429, 'request.rate_limited');
      assert.match(refused.headers['retry-after']!, /^[1-9]\d*$/);
      assert.equal((await ask(other)).status, 200);
      await until(async () => (await ask(token)).status === 200, 'the caller is served again');
    });
  });

  test('do not count what nobody known asks', async () => {
    const { token } = await makeUser(server, 'patient');
    await withServer({ requestsPerSecond: 1, requestBurst: 5 }, async (own) => {
      const answers = await Promise.all(Array.from({ length: 40 }, () => own.call({ method: 'GET', path: `${account}/organizations`, token: null })));
      assert.deepEqual(new Set(answers.map((answer) => answer.status)), new Set([401]));
      assert.equal((await own.call({ method: 'GET', path: `${account}/api-tokens`, token })).status, 200);
    });
  });
});

describe('stopping', () => {
  test('finishes what is in flight, refuses what is new, and closes', async () => {
    const own = await startTestServer({ beside: server });
    const idle = await openWire(own.url);
    idle.write(get('/healthz'));
    assert.equal((await idle.answer()).status, 200);
    const { wire, finish } = await pending(own);
    // The server has the head: what it answers on another connection came later.
    await sendRaw(own.url, get('/healthz'));
    const stopped = own.app.server.drain();
    idle.write(get(`${account}/organizations`));
    const refused = await idle.answer();
    assert.equal(refused.status, 503);
    assert.equal(code(refused), 'server.draining');
    assert.equal(refused.headers['connection'], 'close');
    assertHardened(refused);
    assert.equal((await finish()).status, 200);
    wire.close();
    await stopped;
    await assert.rejects(sendRaw(own.url, get('/healthz')));
    await own.stop();
  });
});

describe('addresses', () => {
  test('are those of the peer, or of whom a trusted proxy names, read from its end', async () => {
    let number = 0;
    const addressOf = async (own: TestServer, forwarded: string): Promise<string> => {
      await own.call({ method: 'PUT', path: `${account}/users/admin`, body: { name: `Change ${(number += 1)}`, spec: { email: 'admin@example.com' } }, headers: { 'x-forwarded-for': forwarded } });
      const [row] = await own.sql<{ address: string }>(`select personal -> 'address' ->> 'value' as address from audit_event where action = 'user.update' order by at desc, id desc limit 1`);
      return row!.address;
    };
    assert.equal(await addressOf(server, '203.0.113.9'), '127.0.0.1');
    await withServer({ trustedProxies: ['127.0.0.0/8', '10.0.0.0/8'] }, async (own) => {
      assert.equal(await addressOf(own, '203.0.113.9'), '203.0.113.9');
      assert.equal(await addressOf(own, '198.51.100.1, 203.0.113.9, 10.1.2.3'), '203.0.113.9');
      assert.equal(await addressOf(own, 'nonsense, 10.1.2.3'), '127.0.0.1');
      assert.equal(await addressOf(own, '1.2.3.4, 203.0.113.9:51234'), '203.0.113.9');
    });
  });
});
