/** A server with issuers on loopback and mappings from them, and the few things tests of trust do with it. */
import assert from 'node:assert/strict';
import type { RemoteAnswer } from '#platform/remote.ts';
import { atEnd } from '#test/endings.ts';
import type { TestIssuer } from '#test/parties/issuer.ts';
import { startIssuer, terraformClaims } from '#test/parties/issuer.ts';
import type { TestServer, TestServerOptions } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';

export const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const jwtType = 'urn:ietf:params:oauth:token-type:jwt';

export interface AuditEvent {
  readonly action: string;
  readonly outcome: string;
  readonly requestId: string;
  readonly actor: { readonly type: string; readonly uid: string; readonly path: string } | null;
  readonly resource: { readonly kind: string; readonly path: string } | null;
  readonly session?: string;
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly detail: { readonly code: string; readonly check?: string; readonly because: string; readonly [name: string]: unknown };
  readonly diff?: { readonly mappings?: readonly { readonly mapping: string; readonly failed: readonly unknown[] }[] };
}

export interface TrustWorld {
  readonly server: TestServer;
  /** Signs like HCP Terraform; RS256. */
  readonly hcp: TestIssuer;
  /** An authorization server; ES256. */
  readonly corporate: TestIssuer;
  /** Not registered. */
  readonly stranger: TestIssuer;
  nowSeconds(): number;
  /** One more issuer at the server's time of day. */
  newIssuer(): Promise<TestIssuer>;
  /** Another node beside the server, at the same time of day. */
  anotherNode(settings?: NonNullable<TestServerOptions['settings']>): Promise<TestServer>;
  oauth(path: string, form: Record<string, string>, token?: string | null): Promise<RemoteAnswer>;
  tryExchange(subjectToken: string, changes?: Record<string, string>): Promise<RemoteAnswer>;
  /** The session token. */
  exchange(subjectToken: string): Promise<string>;
  /** The session of a workspace whose mapping `only` made. */
  exchangeAs(identifier: string): Promise<string>;
  /** `true`, `false`, or the status when nobody is calling. */
  may(token: string, permission: string, resource: string, on?: TestServer): Promise<boolean | number>;
  audit(query: Readonly<Record<string, string>>): Promise<AuditEvent[]>;
}

export const administers = { role: 'project_admin', scope: 'payments/checkout', resourceGroup: 'all_project_level_resources' };

export function issuerDocument(identifier: string, issuer: { readonly url: string }, changes: object = {}): Record<string, unknown> {
  const spec = { issuer: issuer.url, audiences: ['https://sallyport.example'], keys: { discovery: true }, algorithms: ['RS256'], ...changes };
  return { kind: 'TrustedIssuer', identifier, spec };
}

export function workspace(changes: object, identifier = 'ws_platform'): Record<string, unknown> {
  const when = [{ claim: '/terraform_organization_id', equals: 'org-abc' }, { claim: '/terraform_workspace_id', equals: 'ws-123' }];
  return { kind: 'ClaimMapping', identifier, spec: { issuer: 'hcp', when, grants: [administers], session: { ttl: '10m', label: 'tfc:{/terraform_workspace_name}' }, ...changes } };
}

/** A mapping of its own for one test, matched by the workspace of that name. */
export function only(identifier: string, changes: object = {}): Record<string, unknown> {
  return workspace({ when: [{ claim: '/terraform_workspace_id', equals: identifier }], ...changes }, identifier);
}

export function decoded(token: string): { header: Record<string, unknown>; payload: Record<string, unknown> } {
  const [header, payload] = token.split('.').slice(0, 2).map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>);
  return { header: header!, payload: payload! };
}

function pipeline(scope: string, identifier: string, application: string): Record<string, unknown> {
  const step = { step: { identifier: 'hello', type: 'Run', spec: { shell: 'Bash', command: 'echo hello' } } };
  return { kind: 'Pipeline', scope, identifier, tags: { application }, spec: { pipeline: { stages: [{ stage: { identifier: 'build', type: 'CI', spec: { execution: { steps: [step] } } } }] } } };
}

/** Ends with the tests of the process. */
export async function startTrustWorld(): Promise<TrustWorld> {
  const place: { server?: TestServer } = {};
  const nowSeconds = (): number => Math.floor((place.server?.clock.now().getTime() ?? Date.now()) / 1_000);
  const newIssuer = async (alg = 'RS256'): Promise<TestIssuer> => {
    const issuer = await startIssuer({ nowSeconds, alg });
    atEnd(() => issuer.stop());
    return issuer;
  };
  const [hcp, corporate, stranger] = await Promise.all([newIssuer(), newIssuer('ES256'), newIssuer()]);
  const server = await startTestServer({ settings: { allowPrivateOrigin: [hcp.url, corporate.url], refusedExchangesPerMinute: 100_000 } });
  place.server = server;
  await server.apply(documents(hcp, corporate));
  return { server, hcp, corporate, stranger, nowSeconds, newIssuer: () => newIssuer(), ...actions(server, hcp) };
}

function actions(server: TestServer, hcp: TestIssuer): Omit<TrustWorld, 'server' | 'hcp' | 'corporate' | 'stranger' | 'nowSeconds' | 'newIssuer'> {
  const world: ReturnType<typeof actions> = {
    async anotherNode(settings = {}) {
      const node = await startTestServer({ beside: server, settings: { allowPrivateOrigin: [hcp.url], ...settings } });
      node.clock.advance(server.clock.now().getTime() - node.clock.now().getTime());
      return node;
    },
    oauth: (path, form, token = null) => server.call({ method: 'POST', path: `/accounts/default/oauth/${path}`, form, token }),
    tryExchange: (subjectToken, changes = {}) => world.oauth('token', { grant_type: tokenExchange, subject_token: subjectToken, subject_token_type: jwtType, ...changes }),
    async exchange(subjectToken) {
      const answer = await world.tryExchange(subjectToken);
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      return (answer.body as { access_token: string }).access_token;
    },
    exchangeAs: (identifier) => world.exchange(hcp.token(terraformClaims({ terraform_workspace_id: identifier }))),
    async may(token, permission, resource, on = server) {
      const answer = await on.call({ method: 'POST', path: `${server.api}/access:check`, body: { permission, resource }, token });
      return answer.status === 200 ? (answer.body as { allowed: boolean }).allowed : answer.status;
    },
    async audit(query) {
      const answer = await server.call({ method: 'GET', path: `${server.api}/audit?${new URLSearchParams({ ...query }).toString()}` });
      return (answer.body as { items: AuditEvent[] }).items;
    },
  };
  return world;
}

function documents(hcp: TestIssuer, corporate: TestIssuer): Record<string, unknown>[] {
  const own = { type: 'pipeline', where: { 'tags.application': { equalsClaim: '/application_id' } } };
  return [
    { kind: 'Organization', identifier: 'payments', spec: {} },
    { kind: 'Organization', identifier: 'platform', spec: {} },
    { kind: 'Project', scope: 'payments', identifier: 'checkout', spec: {} },
    { kind: 'Project', scope: 'payments', identifier: 'refunds', spec: {} },
    { kind: 'Project', scope: 'platform', identifier: 'edge', spec: {} },
    pipeline('payments/checkout', 'recover', 'app_x'),
    pipeline('payments/refunds', 'recover', 'app_y'),
    pipeline('platform/edge', 'recover', 'app_x'),
    { kind: 'Role', identifier: 'runs', spec: { level: 'org', permissions: ['pipeline.view', 'pipeline.execute'] } },
    issuerDocument('hcp', hcp, { preset: 'hcp_terraform' }),
    issuerDocument('corporate', corporate, { algorithms: ['ES256'] }),
    workspace({}),
    {
      kind: 'ClaimMapping', identifier: 'app_recovery',
      spec: {
        issuer: 'corporate', when: [{ claim: '/client_id', equals: 'dynatrace-automation' }],
        grants: [{ role: 'runs', scope: 'payments', includeChildScopes: true, resources: [own] }],
      },
    },
  ];
}
