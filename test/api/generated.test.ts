/** What holds for every operation there is, asked of each. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { before, describe, test } from 'node:test';
import type { AnyOperation } from '#kernel/operation.ts';
import type { RemoteAnswer } from '#platform/remote.ts';
import { routesOf } from '#platform/http/server.ts';
import { createKinds } from '../../src/app.ts';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import type { Problem } from './answers.ts';
import { makeUser } from './principals.ts';
import { sampleNames, sampleOf } from './samples.ts';

/** Needs no credential, and why. Opening another is a decision: add it here. */
const openOperations: Readonly<Record<string, string>> = {
  'authzen.first_metadata': 'says where an application asks, and nothing else',
  'authzen.metadata': 'says where an application asks, and nothing else',
  'health.live': 'liveness of the process, tells nothing',
  'health.metrics': 'counters without names, for the scraper next to the server',
  'health.ready': 'readiness for load balancers, tells nothing',
  'issuer.discovery': 'verifiers of minted tokens have no credential here',
  'issuer.inserted_discovery': 'verifiers of minted tokens have no credential here',
  'issuer.keys': 'verifiers of minted tokens have no credential here',
  'issuer.metadata': 'verifiers of minted tokens have no credential here',
  'published.openapi': 'the description of the API is the same for everybody',
  'published.schema': 'the schemas of manifests are the same for everybody',
  'runner.register': 'the registration token is the credential',
  'session.create': 'the subject token is the credential',
  'session.give_back': 'whoever holds a session token may end its session',
  'setup.complete': 'the one-time setup code is the credential',
};

/** Asks no permission of its own, and what a user without any binding gets for the sample. */
const selfOperations: Readonly<Record<string, { readonly status: number; readonly why: string }>> = {
  'authzen.evaluation': { status: 403, why: 'about others only with `access.check` where the resource lies' },
  'authzen.evaluations': { status: 200, why: 'an item about others is a plain no' },
  'authzen.search_subject': { status: 403, why: 'about others only with `access.check` where the resource lies' },
  'authzen.search_resource': { status: 403, why: 'about others only with `access.check` where they lie' },
  'authzen.search_action': { status: 403, why: 'about others only with `access.check` where the resource lies' },
  'api_token.list': { status: 200, why: 'one’s own tokens' },
  'api_token.delete': { status: 404, why: 'one’s own tokens only' },
  'session.introspect': { status: 200, why: 'a token that is nobody’s is not active' },
  'runner.claim': { status: 403, why: 'for runners' },
  'attempt.payload': { status: 403, why: 'for runners' },
  'attempt.masks': { status: 403, why: 'for runners' },
  'attempt.tokens': { status: 403, why: 'for runners' },
  'attempt.started': { status: 403, why: 'for runners' },
  'attempt.heartbeat': { status: 403, why: 'for runners' },
  'attempt.logs': { status: 403, why: 'for runners' },
  'attempt.result': { status: 403, why: 'for runners' },
};

let server: TestServer;
let nobody: string;
let otherAdmin: string;

before(async () => {
  server = await startTestServer();
  await server.apply([
    { kind: 'Organization', identifier: 'payments', spec: {} },
    { kind: 'Project', scope: 'payments', identifier: 'checkout', spec: {} },
  ]);
  nobody = (await makeUser(server, 'nobody')).token;
  otherAdmin = (await server.addAccount('other')).adminToken;
});

/** The operations are known before a server runs, so that each has a test of its own. */
const operations = await listOperations();

async function listOperations(): Promise<readonly AnyOperation[]> {
  const described = await startTestServer();
  await described.stop();
  return described.app.operations;
}

function pathOf(operation: AnyOperation): string {
  const values: Record<string, string> = { account: 'default', org: 'payments', project: 'checkout', ...sampleOf(operation).params };
  const query = new URLSearchParams(sampleOf(operation).query).toString();
  const path = routesOf(operation)[0]!.url.replaceAll('::', '\0').replaceAll(/:(\w+)/g, (_, name: string) => {
    assert.ok(name in values, `the sample of \`${operation.name}\` has no \`${name}\``);
    return values[name]!;
  });
  return `${path.replaceAll('\0', ':')}${query === '' ? '' : `?${query}`}`;
}

interface Change {
  readonly query?: string;
  /** Member added to the body or form. */
  readonly member?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

function ask(operation: AnyOperation, token: string | null, { query, member, headers }: Change = {}): Promise<RemoteAnswer> {
  const { body, form } = sampleOf(operation);
  const added = member === undefined ? {} : { [member]: 'x' };
  const path = pathOf(operation);
  return server.call({
    method: operation.method,
    path: query === undefined ? path : `${path}${path.includes('?') ? '&' : '?'}${query}`,
    token,
    ...(headers === undefined ? {} : { headers }),
    ...(body === undefined && (member === undefined || form !== undefined) ? {} : { body: { ...body, ...added } }),
    ...(form === undefined ? {} : { form: { ...form, ...added } }),
  });
}

const hasBody = (operation: AnyOperation): boolean => operation.method !== 'GET';
const fieldErrors = (answer: RemoteAnswer) => (answer.body as Problem).errors?.map(({ pointer }) => pointer);

test('every operation has a name of its own, a sample, and paths that lead to it', () => {
  const names = operations.map((operation) => operation.name);
  assert.deepEqual(names.filter((name, i) => names.indexOf(name) !== i), []);
  assert.deepEqual(sampleNames.filter((name) => !names.includes(name)), [], 'samples of operations that are gone');
  for (const operation of operations) {
    assert.match(operation.name, /^[a-z][a-z_]*\.[a-z][a-z_]*$/);
    assert.doesNotThrow(() => sampleOf(operation));
    for (const { url } of routesOf(operation)) assert.ok(server.app.server.fastify.hasRoute({ method: operation.method, url }), `${operation.method} ${url}`);
  }
});

test('each kind has its five operations', () => {
  const names = new Set(operations.map((operation) => operation.name));
  for (const kind of createKinds().kinds.keys()) for (const verb of ['list', 'get', 'create', 'update', 'delete']) assert.ok(names.has(`${kind}.${verb}`), `${kind}.${verb}`);
});

test('what is open to everybody is this and nothing else', () => {
  const open = operations.flatMap(({ name, access }) => (access.shape === 'open' ? [[name, access.reason] as const] : []));
  assert.deepEqual(Object.fromEntries(open.toSorted()), openOperations);
});

test('what asks no permission of its own is this and nothing else', () => {
  const self = operations.flatMap(({ name, access }) => (access.shape === 'self' ? [name] : []));
  assert.deepEqual(self.toSorted(), Object.keys(selfOperations).toSorted());
});

const closed = operations.filter(({ access }) => access.shape !== 'open');

describe('without a credential', () => {
  for (const operation of closed) {
    test(`${operation.name} is refused`, async () => {
      const answer = await ask(operation, null);
      assert.equal(answer.status, 401, JSON.stringify(answer.body));
      assert.equal(answer.headers['www-authenticate'], 'Bearer realm="sallyport"', 'no error where there was no token (RFC 6750 §3.1)');
    });
  }
});

describe('with a token of another account', () => {
  for (const operation of closed) {
    test(`${operation.name} is refused`, async () => {
      const answer = await ask(operation, otherAdmin);
      assert.ok(answer.status === 401 || answer.status === 404, `${answer.status} ${JSON.stringify(answer.body)}`);
      if (answer.status === 401) assert.equal(answer.headers['www-authenticate'], 'Bearer realm="sallyport", error="invalid_token"');
    });
  }
});

describe('without any permission', () => {
  for (const operation of closed) {
    test(`${operation.name} is refused, or about oneself`, async () => {
      const answer = await ask(operation, nobody);
      const self = selfOperations[operation.name];
      if (self === undefined) assert.ok(answer.status === 403 || answer.status === 404, `${answer.status} ${JSON.stringify(answer.body)}`);
      else assert.equal(answer.status, self.status, JSON.stringify(answer.body));
    });
  }
});

/** Stricter than RFC 6749 §3.2, which has a server ignore them: a claim of the request that is not understood is not acted upon. */
const knowsEveryParameter = new Set(['session.create']);

describe('an unknown field', () => {
  const member = 'nobody_knows_this';
  for (const operation of operations.filter(hasBody)) {
    if (operation.dialect === 'oauth' && knowsEveryParameter.has(operation.name)) {
      test(`${operation.name} refuses by its name`, async () => {
        const answer = await ask(operation, server.adminToken, { member });
        assert.equal(answer.status, 400);
        assert.match((answer.body as { error_description: string }).error_description, new RegExp(member));
      });
    } else if (operation.dialect === 'oauth') {
      test(`${operation.name} ignores, as RFC 6749 §3.2 says`, async () => {
        const [plain, more] = [await ask(operation, server.adminToken), await ask(operation, server.adminToken, { member })];
        const told = ({ status, body }: RemoteAnswer) => ({ status, body: { ...(body as object), correlation_id: '' } });
        assert.deepEqual(told(more), told(plain));
      });
    } else if (operation.dialect === 'api' || operation.access.shape === 'open') {
      test(`${operation.name} refuses, and nothing else of its sample`, async () => {
        const answer = await ask(operation, server.adminToken, { member });
        assert.equal(answer.status, 400, JSON.stringify(answer.body));
        assert.deepEqual(fieldErrors(answer), [operation.input.body === undefined ? '' : `/${member}`]);
      });
    }
  }
});

describe('an unknown query parameter', () => {
  for (const operation of operations.filter(({ dialect }) => dialect === 'api')) {
    test(`${operation.name} refuses`, async () => {
      const answer = await ask(operation, server.adminToken, { query: 'nobody_knows_this=1' });
      assert.equal(answer.status, 400, JSON.stringify(answer.body));
      assert.deepEqual(fieldErrors(answer), ['/nobody_knows_this']);
    });
  }
});

describe('a version of what has none', () => {
  for (const operation of operations.filter(({ write, versioned }) => write !== undefined && versioned !== true)) {
    test(`${operation.name} refuses rather than lose the change of somebody else`, async () => {
      const answer = await ask(operation, server.adminToken, { headers: { 'if-match': '"1"' } });
      assert.equal(answer.status, operation.dialect === 'oauth' ? 400 : 412, JSON.stringify(answer.body));
    });
  }
});

describe('a body larger than any', () => {
  for (const operation of operations.filter(hasBody)) {
    test(`${operation.name} refuses before it comes`, async () => {
      const status = operation.dialect === 'oauth' || operation.dialect === 'authzen' ? 400 : 413;
      assert.equal(await statusOfHead(operation, { 'content-length': String(100 * 1024 * 1024), 'content-type': 'application/json', authorization: `Bearer ${server.adminToken}` }), status);
    });
  }
});

/** Sends a head and nothing after it; the status is the answer to that. */
async function statusOfHead(operation: AnyOperation, headers: Readonly<Record<string, string>>): Promise<number> {
  const { hostname, port } = new URL(server.url);
  const socket = connect(Number(port), hostname);
  const lines = Object.entries({ host: hostname, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`${operation.method} ${pathOf(operation)} HTTP/1.1\r\n${lines.join('')}\r\n`);
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return Number(bytes.toString('latin1', 9, 12));
}
