import { after, before, test } from 'node:test';
import { deepStrictEqual, match, ok, rejects, strictEqual, throws } from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createServer as createRawServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { Refusal } from '#kernel/errors.ts';
import type { ErrorCode } from '#kernel/errors.ts';
import { createOutbound } from '#platform/outbound.ts';
import type { Outbound, OutboundRequest } from '#platform/outbound.ts';
import { selfSignedCertificate } from '#test/parties/certificate.ts';

interface Hit { readonly line: string; readonly headers: IncomingMessage['headers']; readonly body: string }

const hits: Hit[] = [];
const servers: Server[] = [];
let plain: string;
let redirectedTo: string;

/** Answers every path of `paths`; remembers what it was asked. */
const paths: Record<string, (response: ServerResponse) => void> = {
  '/json': (response) => response.writeHead(200, { 'content-type': 'application/json; charset=utf-8', 'X-Twice': ['a', 'b'] }).end('{"ok":true}'),
  '/html': (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('SECRET-BODY'),
  '/untyped': (response) => response.writeHead(200).end('SECRET-BODY'),
  '/denied-json': (response) => response.writeHead(400, { 'content-type': 'application/json' }).end('{"error":"invalid_grant"}'),
  '/denied-html': (response) => response.writeHead(502, { 'content-type': 'text/html' }).end('SECRET-BODY'),
  '/empty': (response) => response.writeHead(204).end(),
  '/unchanged': (response) => response.writeHead(304).end(),
  '/compressed': (response) => response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' }).end('SECRET-BODY'),
  '/ten': (response) => response.writeHead(200).end('0123456789'),
  '/ten-chunked': (response) => { response.writeHead(200); for (const digit of '0123456789') response.write(digit); response.end(); },
  '/declared-large': (response) => { response.writeHead(200, { 'content-length': String(20 * 1024 * 1024) }); response.write('SECRET-BODY'); },
  '/large': (response) => flood(response),
  '/drip': (response) => {
    response.writeHead(200);
    const drip = setInterval(() => response.write('x'), 5);
    response.on('close', () => clearInterval(drip));
  },
  '/silent': () => undefined,
  '/many-headers': (response) => response.writeHead(200, { 'x-large': 'SECRET-BODY'.repeat(3000) }).end(),
  ...Object.fromEntries([300, 301, 302, 303, 307, 308].map((status) => [
    `/redirect-${status}`, (response: ServerResponse) => response.writeHead(status, { location: redirectedTo }).end('SECRET-BODY'),
  ])),
};

function answer(request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    hits.push({ line: `${request.method} ${request.url}`, headers: request.headers, body: Buffer.concat(chunks).toString() });
    const path = paths[request.url?.split('?')[0] ?? ''];
    if (path === undefined) response.writeHead(404).end();
    else path(response);
  });
}

/** 20 MB, unless the other side hangs up first. */
function flood(response: ServerResponse): void {
  response.writeHead(200);
  let left = 320;
  const more = () => {
    while (left > 0 && !response.destroyed) {
      left -= 1;
      if (!response.write(Buffer.alloc(65_536))) return void response.once('drain', more);
    }
    response.end();
  };
  more();
}

async function listen(server: Server, host = '127.0.0.1'): Promise<number> {
  servers.push(server);
  server.listen(0, host);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function rawServer(text: string): Promise<string> {
  const port = await listen(createRawServer((socket: Socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end(text));
  }));
  return `http://127.0.0.1:${port}`;
}

before(async () => {
  plain = `http://127.0.0.1:${await listen(createServer(answer))}`;
  redirectedTo = `${plain}/json?redirected`;
});

after(() => {
  for (const server of servers) {
    if ('closeAllConnections' in server && typeof server.closeAllConnections === 'function') server.closeAllConnections();
    server.close();
  }
});

type Call = Partial<OutboundRequest> & { readonly url: string };

function outboundTo(...origins: string[]): Outbound {
  return createOutbound({ allowPrivateOrigins: origins });
}

function call(outbound: Outbound, options: Call) {
  return outbound.request({ maxBytes: 65_536, timeoutMs: 20_000, ...options });
}

/** Expects a refusal whose private half matches, and whose halves repeat nothing of the other side's body. */
async function refuses(code: ErrorCode, because: RegExp, work: Promise<unknown>): Promise<void> {
  await rejects(work, (error: unknown) => {
    ok(error instanceof Refusal, String(error));
    deepStrictEqual([error.code, error.say, error.errors], [code, undefined, []], error.message);
    match(error.because ?? '', because);
    ok(!JSON.stringify([error.because, error.message, String(error.cause), error.evidence]).includes('SECRET-BODY'));
    return true;
  });
}

test('an allowed private origin answers with status, lower-case headers and bytes', async () => {
  const { status, headers, body } = await call(outboundTo(plain), { url: `${plain}/json?a=b`, accept: ['application/json'] });
  deepStrictEqual([status, headers['content-type'], headers['x-twice']], [200, 'application/json; charset=utf-8', 'a, b']);
  strictEqual(Object.getPrototypeOf(headers), null);
  strictEqual(Buffer.from(body).toString(), '{"ok":true}');
  const hit = hits.at(-1);
  deepStrictEqual([hit?.line, hit?.headers.accept, hit?.headers['accept-encoding'], hit?.headers.host],
    ['GET /json?a=b', 'application/json', 'identity', new URL(plain).host]);
});

test('method, headers and body arrive as given', async () => {
  const body = 'grant_type=x&a=\u00e9';
  await call(outboundTo(plain), { url: `${plain}/json`, method: 'POST', body, headers: { 'Content-Type': 'application/x-www-form-urlencoded', authorization: 'Bearer t' } });
  const hit = hits.at(-1);
  deepStrictEqual([hit?.line, hit?.body, hit?.headers['content-type'], hit?.headers.authorization],
    ['POST /json', body, 'application/x-www-form-urlencoded', 'Bearer t']);
});

for (const status of [300, 301, 302, 303, 307, 308]) {
  test(`a redirect ${status} fails and is not followed`, async () => {
    hits.length = 0;
    await refuses('outbound.failed', /redirects are never followed/, call(outboundTo(plain), { url: `${plain}/redirect-${status}` }));
    deepStrictEqual(hits.map(({ line }) => line), [`GET /redirect-${status}`]);
  });
}

const sizes: readonly (readonly [string, string, number, boolean])[] = [
  ['a body of exactly the limit is read', '/ten', 10, true],
  ['a chunked body of exactly the limit is read', '/ten-chunked', 10, true],
  ['a body one byte over the limit is cut', '/ten', 9, false],
  ['a chunked body one byte over the limit is cut', '/ten-chunked', 9, false],
  ['a declared length over the limit is not even begun', '/declared-large', 65_536, false],
  ['a body of 20 MB is cut', '/large', 65_536, false],
];

for (const [name, path, maxBytes, isRead] of sizes) {
  test(name, async () => {
    const work = call(outboundTo(plain), { url: plain + path, maxBytes });
    if (isRead) strictEqual(Buffer.from((await work).body).toString(), '0123456789');
    else await refuses('outbound.failed', /more than \d+ bytes/, work);
  });
}

test('cutting a body hangs up on the sender', async () => {
  let hungUp: Promise<unknown> = Promise.reject(new Error('not asked'));
  hungUp.catch(() => undefined);
  const port = await listen(createServer((_request, response) => {
    hungUp = once(response, 'close').then(() => strictEqual(response.writableFinished, false));
    response.writeHead(200);
    const pour = () => { while (!response.destroyed && response.write(Buffer.alloc(65_536))); };
    response.on('drain', pour);
    pour();
  }));
  await refuses('outbound.failed', /more than/, call(outboundTo(`http://127.0.0.1:${port}`), { url: `http://127.0.0.1:${port}/` }));
  await hungUp;
});

const late: readonly (readonly [string, string])[] = [
  ['a body that drips for ever', '/drip'],
  ['an answer that never begins', '/silent'],
];

for (const [name, path] of late) {
  test(`${name} hits the time limit`, async () => {
    await refuses('outbound.failed', /no complete answer within 100 ms/, call(outboundTo(plain), { url: plain + path, timeoutMs: 100 }));
  });
}

test('a resolver that never answers hits the time limit', async () => {
  const outbound = createOutbound({ allowPrivateOrigins: [], resolve: () => new Promise(() => undefined) });
  await refuses('outbound.failed', /no complete answer within 50 ms/, call(outbound, { url: 'https://slow.example/', timeoutMs: 50 }));
});

test('a call can be given up by its caller, before and during', async () => {
  const give = new AbortController();
  const during = call(outboundTo(plain), { url: `${plain}/silent`, signal: give.signal });
  give.abort();
  await refuses('outbound.failed', /given up/, during);
  await refuses('outbound.failed', /given up/, call(outboundTo(plain), { url: `${plain}/json`, signal: give.signal }));
});

test('close ends calls under way and those to come', async () => {
  const outbound = outboundTo(plain);
  const during = call(outbound, { url: `${plain}/silent` });
  await outbound.close();
  await refuses('outbound.failed', /the server is stopping/, during);
  await refuses('outbound.failed', /the server is stopping/, call(outbound, { url: `${plain}/json` }));
});

test('content types: success with another type fails, failure with another type comes without its body', async () => {
  const outbound = outboundTo(plain);
  const accept = ['application/json'];
  for (const path of ['/html', '/untyped']) {
    await refuses('outbound.failed', /content type other than application\/json/, call(outbound, { url: plain + path, accept }));
  }
  const text = async (path: string) => {
    const { status, body } = await call(outbound, { url: plain + path, accept });
    return [status, Buffer.from(body).toString()];
  };
  deepStrictEqual(await text('/denied-json'), [400, '{"error":"invalid_grant"}']);
  deepStrictEqual(await text('/denied-html'), [502, '']);
  deepStrictEqual(await text('/empty'), [204, '']);
  deepStrictEqual(await text('/unchanged'), [304, '']);
  strictEqual((await call(outbound, { url: `${plain}/html` })).body.length, 11);
  strictEqual((await call(outbound, { url: `${plain}/json`, method: 'HEAD', accept, maxBytes: 1 })).body.length, 0);
});

test('a compressed answer fails, so that nothing unpacks to more than the limit', async () => {
  await refuses('outbound.failed', /compressed/, call(outboundTo(plain), { url: `${plain}/compressed` }));
});

const broken: readonly (readonly [string, string])[] = [
  ['bytes that are not HTTP', 'SECRET-BODY\r\n\r\n'],
  ['two content lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 11\r\nContent-Length: 12\r\n\r\nSECRET-BODY'],
  ['content length together with chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nSECRET-BODY\r\n0\r\n\r\n'],
  ['a body shorter than declared', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nSECRET-BODY'],
  ['a chunk that is cut', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nSECRET-BODY'],
  ['a switch of protocols', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nSECRET-BODY'],
  ['a connection closed without an answer', ''],
];

for (const [name, text] of broken) {
  test(`${name}: the call fails and repeats nothing of it`, async () => {
    const origin = await rawServer(text);
    await refuses('outbound.failed', /^`127\.0\.0\.1:\d+`/, call(outboundTo(origin), { url: `${origin}/` }));
  });
}

test('headers over 16 KiB fail', async () => {
  await refuses('outbound.failed', /HEADERS_OVERFLOW/i, call(outboundTo(plain), { url: `${plain}/many-headers` }));
});

test('nobody listening is a failure, not a refusal', async () => {
  const server = createRawServer();
  const port = await listen(server);
  server.close();
  await once(server, 'close');
  await refuses('outbound.failed', /ECONNREFUSED/, call(outboundTo(`http://127.0.0.1:${port}`), { url: `http://127.0.0.1:${port}/` }));
});

test('proxies from the environment are not asked', async () => {
  hits.length = 0;
  const before = { ...process.env };
  Object.assign(process.env, { HTTP_PROXY: plain, http_proxy: plain, HTTPS_PROXY: plain, NODE_USE_ENV_PROXY: '1' });
  try {
    const origin = await rawServer('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    strictEqual((await call(outboundTo(origin), { url: `${origin}/x` })).status, 200);
    deepStrictEqual(hits, []);
  } finally {
    for (const name of ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'NODE_USE_ENV_PROXY']) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
  }
});

test('DNS rebinding: the address that was checked is the one connected to, and the name is resolved once', async () => {
  const answers = [['127.0.0.1'], ['203.0.113.9']];
  let asked = 0;
  const origin = `http://rebinding.example:${new URL(plain).port}`;
  const outbound = createOutbound({ allowPrivateOrigins: [origin], resolve: async () => answers[asked++] ?? [] });
  strictEqual((await call(outbound, { url: `${origin}/json` })).status, 200);
  strictEqual(asked, 1);
  strictEqual(hits.at(-1)?.headers.host, `rebinding.example:${new URL(plain).port}`);
});

test('DNS rebinding: a second call is checked anew', async () => {
  const answers = [['127.0.0.1'], ['0.0.0.0']];
  const origin = `http://rebinding.example:${new URL(plain).port}`;
  const outbound = createOutbound({ allowPrivateOrigins: [origin], resolve: async () => answers.shift() ?? [] });
  strictEqual((await call(outbound, { url: `${origin}/json` })).status, 200);
  await refuses('outbound.refused', /unspecified/, call(outbound, { url: `${origin}/json` }));
});

test('of several checked addresses one that answers is used', async () => {
  const origin = `http://several.example:${new URL(plain).port}`;
  const outbound = createOutbound({ allowPrivateOrigins: [origin], resolve: async () => ['::1', '127.0.0.1'] });
  strictEqual((await call(outbound, { url: `${origin}/json` })).status, 200);
});

const forbidden: readonly (readonly [string, Record<string, string>])[] = [
  ['a line break in a value', { 'x-a': 'b\r\nx-injected: c' }], ['a lone line feed in a value', { 'x-a': 'b\nc' }],
  ['a NUL in a value', { 'x-a': 'b\0' }], ['text beyond ASCII in a value', { 'x-a': '\u010a' }], ['a value without end', { 'x-a': 'a'.repeat(16_385) }],
  ['a line break in a name', { 'x-a\r\nx-injected': 'b' }], ['a colon in a name', { 'x-a:': 'b' }], ['an empty name', { '': 'b' }],
  ['another host', { Host: 'evil.example' }], ['a content length', { 'content-length': '0' }],
  ['a transfer encoding', { 'Transfer-Encoding': 'chunked' }], ['an upgrade', { upgrade: 'h2c' }], ['a connection header', { connection: 'x-a' }],
  ['a proxy credential', { 'proxy-authorization': 'Basic eDp5' }],
];

for (const [name, headers] of forbidden) {
  test(`header injection: ${name} is refused before anything is sent`, async () => {
    hits.length = 0;
    await refuses('outbound.refused', /header/, call(outboundTo(plain), { url: `${plain}/json`, headers }));
    deepStrictEqual(hits, []);
  });
}

// TLS: a real server, a certificate made on the spot.

async function tlsServer(hosts: readonly string[]) {
  const { certificatePem, privateKeyPem } = selfSignedCertificate(hosts);
  const seen: string[] = [];
  const server = createTlsServer({ cert: certificatePem, key: privateKeyPem, SNICallback: (name, callback) => { seen.push(name); callback(null); } }, answer);
  const port = await listen(server);
  const origin = `https://idp.internal:${port}`;
  const settings = { allowPrivateOrigins: [origin], resolve: async () => ['127.0.0.1'] };
  return { origin, seen, settings, certificatePem };
}

test('TLS carries the original name, and an extra authority is trusted', async () => {
  const { origin, seen, settings, certificatePem } = await tlsServer(['idp.internal']);
  const outbound = createOutbound({ ...settings, extraCa: certificatePem });
  strictEqual((await call(outbound, { url: `${origin}/json` })).status, 200);
  deepStrictEqual([seen, hits.at(-1)?.headers.host], [['idp.internal'], new URL(origin).host]);
});

test('a certificate nobody vouches for fails', async () => {
  const { origin, settings } = await tlsServer(['idp.internal']);
  await refuses('outbound.failed', /SELF_SIGNED|self.signed/i, call(createOutbound(settings), { url: `${origin}/json` }));
});

test('a trusted certificate of another name fails', async () => {
  const { origin, settings, certificatePem } = await tlsServer(['other.internal', '127.0.0.1']);
  await refuses('outbound.failed', /ALTNAME/, call(createOutbound({ ...settings, extraCa: certificatePem }), { url: `${origin}/json` }));
});

test('NODE_TLS_REJECT_UNAUTHORIZED does not open the door', async () => {
  const { origin, settings } = await tlsServer(['idp.internal']);
  process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
  try {
    await refuses('outbound.failed', /SELF_SIGNED|self.signed/i, call(createOutbound(settings), { url: `${origin}/json` }));
  } finally {
    delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
  }
});

test('an extra authority that is no certificate is refused at the start', () => {
  throws(() => createOutbound({ allowPrivateOrigins: [], extraCa: 'x' }), (error: unknown) => error instanceof Refusal && error.code === 'config.invalid');
});
