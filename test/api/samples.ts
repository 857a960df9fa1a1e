/**
 * A well-formed request of every operation, for the rows that are generated over all of them. An operation without one
 * fails `generated.test.ts`: add it here.
 */
import type { AnyOperation } from '#kernel/operation.ts';

export interface Sample {
  /** Values of parameters in the path, beside account, org and project. */
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: Readonly<Record<string, unknown>>;
  readonly form?: Readonly<Record<string, string>>;
}

const uuid = '00000000-0000-7000-8000-000000000000';

/** Specs by kind; at the highest level the kind lives at. */
const specs: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  organization: {},
  project: {},
  role: { level: 'account', permissions: [] },
  resource_group: { resources: [] },
  role_binding: { principal: { type: 'user', id: 'admin' }, role: 'account_viewer', resourceGroup: 'all_account_level_resources' },
  resource_type: { external: true, levels: ['org'], verbs: ['view'] },
  external_resource: { type: 'todo', id: '17' },
  user: { email: 'generated@example.com' },
  service_account: {},
  user_group: { members: [] },
  connector: { type: 'jwt', audiences: ['https://partner.example'] },
  trusted_issuer: { issuer: 'https://issuer.example', audiences: ['https://sallyport.example'], keys: { jwksUri: 'https://issuer.example/jwks' }, algorithms: ['RS256'] },
  claim_mapping: { issuer: 'corporate', when: [{ claim: '/sub', equals: 'x' }], grants: [] },
  secret: { type: 'text', value: 'correct horse battery' },
  environment: { type: 'Production' },
  service: {},
  pipeline: {
    pipeline: {
      stages: [{ stage: { identifier: 'build', type: 'CI', spec: { execution: { steps: [{ step: { identifier: 'hello', type: 'Run', spec: { shell: 'Bash', command: 'echo hello' } } }] } } } }],
    },
  },
};

const evaluation = { subject: { type: 'user', id: 'admin' }, action: { name: 'view' }, resource: { type: 'role', id: 'generated' } };
const documents = { documents: [{ kind: 'ServiceAccount', identifier: 'generated', spec: {} }] };
const lease = { protocol: 1, fence: 1 };
const attempt = { attempt: uuid };
const token = 'a token that nobody made, of a length some look at';

const samples: Readonly<Record<string, Sample>> = {
  'manifest.apply': { body: documents },
  'manifest.plan': { body: documents },
  'manifest.export': {},
  'access.check': { body: { principal: 'user:admin', permission: 'role.view', resource: 'generated' } },
  'access.check_many': { body: { principal: 'user:admin', checks: [{ permission: 'role.view', resource: 'generated' }] } },
  'access.who_can': { body: { permission: 'role.view', resource: 'generated' } },
  'access.what_can': { body: { principal: 'user:admin' } },
  'access.unused': { body: { days: 30, scope: '/' } },
  'access.what_would_change': { body: documents },
  'access.explain': { body: { principal: 'user:admin', permission: 'role.view', resource: 'generated' } },
  'authzen.evaluation': { body: evaluation },
  'authzen.evaluations': { body: { evaluations: [evaluation] } },
  'authzen.search_subject': { body: evaluation },
  'authzen.search_resource': { body: evaluation },
  'authzen.search_action': { body: evaluation },
  'authzen.metadata': { params: { name: 'default' } },
  'authzen.first_metadata': {},
  'audit.list': {},
  'audit.export': {},
  'audit.checkpoint': {},
  'audit.verify': { body: { account: uuid, checkpoints: [{ seq: 1, link: '0'.repeat(64), at: '2026-01-01T00:00:00.000Z', keyId: 'none', signature: 'AAAA' }] } },
  'api_token.create': { body: { principal: { type: 'user', path: 'admin' }, name: 'generated' } },
  'api_token.impersonate': { body: { principal: { type: 'user', path: 'admin' }, reason: 'generated' } },
  'api_token.list': {},
  'api_token.delete': { params: { id: uuid } },
  'setup.complete': { body: { code: 'not the code', email: 'a@example.com', password: 'long enough for anybody' } },
  'session.create': { form: { grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', subject_token: 'a.b.c', subject_token_type: 'urn:ietf:params:oauth:token-type:jwt' } },
  'session.introspect': { form: { token } },
  'session.give_back': { form: { token } },
  'session.list': {},
  'session.delete': { params: { id: uuid } },
  'session.revoke': { body: { subject: 'nobody' } },
  'trust.shadow': { body: documents },
  'trusted_issuer.status': { params: { identifier: 'corporate' } },
  'trusted_issuer.catch': { params: { identifier: 'corporate' }, body: { for: '1m' } },
  'trusted_issuer.catch_stop': { params: { identifier: 'corporate' } },
  'trusted_issuer.caught': { params: { identifier: 'corporate' } },
  'trusted_issuer.drift': { params: { identifier: 'corporate' } },
  'trusted_issuer.accept_drift': { params: { identifier: 'corporate' }, body: { pin: '0'.repeat(64), id: 'ws-1' } },
  'token.explain': { body: { token: 'a.b.c' } },
  'issuer.discovery': {},
  'issuer.metadata': { params: { name: 'default' } },
  'issuer.inserted_discovery': { params: { name: 'default' } },
  'issuer.keys': {},
  'signing_key.list': {},
  'signing_key.rotate': { body: { algorithms: ['ES256'] } },
  'signing_key.revoke': { params: { id: 'a-key-that-is-not-there' } },
  'execution.start': { body: { pipeline: 'generated' } },
  'execution.list': {},
  'execution.get': { params: { id: uuid } },
  'execution.logs': { params: { id: uuid } },
  'execution.tokens': { params: { id: uuid } },
  'connector.trust': { params: { identifier: 'partner' }, body: { pipeline: 'payments/checkout/generated' } },
  'connector.tokens': { params: { identifier: 'partner' } },
  'execution.abort': { params: { id: uuid } },
  'runner_registration.create': { body: { identifier: 'generated', labels: [] } },
  'runner_registration.delete': { params: { id: uuid } },
  'runner.list': {},
  'runner.get': { params: { identifier: 'generated' } },
  'runner.update': { params: { identifier: 'generated' }, body: { labels: [], state: 'paused' } },
  'runner.delete': { params: { identifier: 'generated' } },
  'runner.register': {
    body: {
      protocol: 1, token, proof: 'a.b.c',
      signingKey: { kty: 'OKP', crv: 'Ed25519', x: 'A'.repeat(43) }, sealingKey: { kty: 'OKP', crv: 'X25519', x: 'A'.repeat(43) },
    },
  },
  'runner.claim': { body: { protocol: 1, claimId: uuid, waitMs: 0 } },
  'attempt.payload': { params: attempt, body: lease },
  'attempt.masks': { params: attempt, body: { ...lease, after: 0 } },
  'attempt.tokens': { params: attempt, body: { ...lease, identity: 'CLOUD', audience: 'https://cloud.example' } },
  'attempt.started': { params: attempt, body: lease },
  'attempt.heartbeat': { params: attempt, body: lease },
  'attempt.logs': { params: attempt, body: { ...lease, stream: 'stdout', offset: 0, maskSet: 0, data: '' } },
  'attempt.result': { params: attempt, body: { ...lease, result: { exit: 'refused', message: 'not here' } } },
  'health.live': {},
  'health.ready': {},
  'health.metrics': {},
  'published.openapi': {},
  'published.schema': { params: { kind: 'role' } },
};

export function sampleOf(operation: AnyOperation): Sample {
  const listed = samples[operation.name];
  if (listed !== undefined) return listed;
  const [kind = '', verb = ''] = operation.name.split('.');
  const spec = specs[kind];
  const params = { identifier: 'generated' };
  switch (spec === undefined ? '' : verb) {
    case 'list': return {};
    case 'get':
    case 'delete': return { params };
    case 'create': return { body: { ...params, spec } };
    case 'update': return { params, body: { spec } };
    default: throw new Error(`the operation \`${operation.name}\` has no sample in test/api/samples.ts`);
  }
}

export const sampleNames: readonly string[] = Object.keys(samples);
