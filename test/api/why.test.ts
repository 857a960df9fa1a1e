/** Why a token was refused: what the caller gets, what the administrator of a mapping gets, and nobody else. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { RemoteAnswer } from '#platform/remote.ts';
import { terraformClaims } from '#test/parties/issuer.ts';
import type { TrustWorld } from './trust-world.ts';
import { administers, only, startTrustWorld } from './trust-world.ts';
import { makeUser, scopeApi } from './principals.ts';

interface Trace {
  readonly accepted: boolean;
  readonly cause: string | null;
  readonly causes: readonly string[];
  readonly claims: Readonly<Record<string, unknown>> | null;
  readonly checks: readonly { readonly check: string; readonly outcome: string; readonly expected?: unknown }[];
  readonly mappings: readonly { readonly mapping: string; readonly matched: boolean; readonly conditions: readonly { readonly claim: string; readonly actual: unknown; readonly holds: boolean | null }[] }[];
  readonly hiddenMappings: number;
  readonly event: { readonly id: string; readonly correlationId: string; readonly outcome: string; readonly mappings: readonly { readonly mapping: string; readonly version: number; readonly matched: boolean; readonly document?: unknown }[] } | null;
}

let world: TrustWorld;
/** May view the mappings of `payments/checkout`, and nothing at the account. */
let project: string;
let other: string;

before(async () => {
  world = await startTrustWorld();
  const { server } = world;
  const inProject = { issuer: 'account.hcp', grants: [administers] };
  await server.apply([
    { ...only('ws_of_project', inProject), scope: 'payments/checkout' },
    { ...only('ws_of_refunds', { ...inProject, grants: [{ ...administers, scope: 'payments/refunds' }] }), scope: 'payments/refunds' },
  ]);
  project = (await makeUser(server, 'checkout_admin', [{ role: 'project_admin', scope: 'payments/checkout' }])).token;
  other = (await makeUser(server, 'edge_admin', [{ role: 'project_admin', scope: 'platform/edge' }])).token;
});

const projectApi = (): string => scopeApi(world.server, 'payments/checkout');

async function explain(question: Readonly<Record<string, string>>, { as, at = world.server.api }: { readonly as?: string; readonly at?: string } = {}): Promise<RemoteAnswer & { trace: Trace }> {
  const answer = await world.server.call({ method: 'POST', path: `${at}/sessions:explain`, body: question, ...(as === undefined ? {} : { token: as }) });
  return { ...answer, trace: answer.body as Trace };
}

/** What the caller is given: the id alone. */
async function refused(claims: Readonly<Record<string, unknown>>): Promise<string> {
  const answer = await world.tryExchange(world.hcp.token(terraformClaims(claims)));
  assert.equal(answer.status, 400, JSON.stringify(answer.body));
  return (answer.body as { correlation_id: string }).correlation_id;
}

describe('an exchange of the past is explained', () => {
  test('by the correlation id its caller was given: each condition, nearest mapping first, and the cause in a line', async () => {
    const { trace } = await explain({ correlationId: await refused({ terraform_workspace_id: 'WS_of_project' }) });
    assert.equal(trace.accepted, false);
    assert.equal(trace.cause, 'claim mapping `payments/checkout/ws_of_project`: `/terraform_workspace_id` is "WS_of_project" and must equal "ws_of_project": only upper and lower case differ');
    assert.equal(trace.mappings[0]!.mapping, 'payments/checkout/ws_of_project');
    assert.ok(trace.mappings.length > 1);
    assert.equal(trace.claims!['terraform_workspace_id'], 'WS_of_project');
    assert.ok(trace.checks.every(({ outcome }) => outcome === 'passed'));
    assert.equal(trace.event!.outcome, 'refused');
    assert.ok(trace.event!.mappings.every(({ matched }) => !matched));
  });

  test('by the id of its audit event, with the mapping as it was then', async () => {
    await world.server.apply([only('then_and_now')]);
    const session = await world.exchangeAs('then_and_now');
    const [event] = await world.audit({ action: 'session.create', limit: '1' });
    await world.server.apply([only('then_and_now', { when: [{ claim: '/terraform_workspace_id', equals: 'another' }] })]);
    const { trace } = await explain({ event: (event as unknown as { id: string }).id });
    assert.deepEqual([trace.accepted, trace.cause], [true, null]);
    const [met] = trace.event!.mappings;
    assert.deepEqual([met!.mapping, met!.version, met!.matched], ['then_and_now', 1, true]);
    assert.deepEqual((met!.document as { when: unknown }).when, [{ claim: '/terraform_workspace_id', equals: 'then_and_now' }]);
    assert.equal(trace.mappings.find(({ mapping }) => mapping === 'then_and_now')!.matched, false);
    assert.equal(await world.may(session, 'pipeline.view', 'payments/checkout/recover'), 401);
  });

  test('from any act of its session', async () => {
    const session = await world.exchangeAs('ws_of_project');
    await world.server.apply([{ kind: 'Service', scope: 'payments/checkout', identifier: 'traced', spec: {} }], session);
    const [act] = await world.audit({ action: 'service.create', limit: '1' });
    const { trace } = await explain({ event: (act as unknown as { id: string }).id });
    assert.deepEqual([trace.accepted, trace.event!.mappings.map(({ mapping }) => mapping)], [true, ['payments/checkout/ws_of_project']]);
  });

  test('that would be let in by the mappings of now, and says so', async () => {
    const id = await refused({ terraform_workspace_id: 'later' });
    await world.server.apply([only('later')]);
    const { trace } = await explain({ correlationId: id });
    assert.deepEqual([trace.accepted, trace.cause], [false, 'no claim mapping of the issuer matches; with the mappings of now it would be let in']);
  });

  test('that failed a check of the token: which, and what was expected; claims that were not proven are not kept', async () => {
    const { trace } = await explain({ correlationId: await refused({ aud: 'https://elsewhere.example' }) });
    assert.equal(trace.cause, 'audience: the token is meant for somebody else (the token has "https://elsewhere.example"; expected ["https://sallyport.example"])');
    assert.equal(trace.claims, null);
    assert.deepEqual(trace.mappings, []);
    const outcomes = Object.fromEntries(trace.checks.map(({ check, outcome }) => [check, outcome]));
    assert.deepEqual([outcomes['signature'], outcomes['audience'], outcomes['expiry']], ['passed', 'failed', 'not_reached']);
  });

  test('that was refused for what was done before, and not for what its claims say', async () => {
    await world.server.apply([only('once', { singleUse: true }), only('named', { when: [{ claim: '/terraform_organization_id', equals: 'org-abc' }, { claim: '/terraform_workspace_name', equals: 'named' }] })]);
    const once = world.hcp.token(terraformClaims({ terraform_workspace_id: 'once', jti: 'used-once' }));
    await world.exchange(once);
    const again = await world.tryExchange(once);
    assert.match((await explain({ correlationId: (again.body as { correlation_id: string }).correlation_id })).trace.cause!, /^token_id: the token was used before/);
    await world.exchange(world.hcp.token(terraformClaims({ terraform_workspace_id: 'first', terraform_workspace_name: 'named' })));
    const stranger = await world.tryExchange(world.hcp.token(terraformClaims({ terraform_workspace_id: 'second', terraform_workspace_name: 'named' })));
    const { cause } = (await explain({ correlationId: (stranger.body as { correlation_id: string }).correlation_id })).trace;
    assert.match(cause!, /terraform_workspace_name|named/);
    assert.doesNotMatch(cause!, /would be let in/);
  });

  test('of an issuer that is gone since, to who may see the audit', async () => {
    const gone = await world.newIssuer();
    await world.server.apply([{ kind: 'TrustedIssuer', identifier: 'gone', spec: { issuer: gone.url, audiences: ['https://sallyport.example'], keys: { jwks: { keys: [gone.key.jwk] } }, algorithms: ['RS256'] } }]);
    const answer = await world.tryExchange(gone.token(terraformClaims()));
    await world.server.call({ method: 'DELETE', path: `${world.server.api}/trusted-issuers/gone` });
    const { trace } = await explain({ correlationId: (answer.body as { correlation_id: string }).correlation_id });
    assert.match(trace.cause!, /the issuer is gone; then: the issuer has no claim mappings/);
  });
});

describe('who administers a project', () => {
  test('gets what concerns its own mappings: their conditions with what the token had, no other claim, no other mapping, no rule of the issuer', async () => {
    const { trace } = await explain({ correlationId: await refused({ terraform_workspace_id: 'WS_of_project', terraform_run_id: 'run-hidden' }) }, { as: project, at: projectApi() });
    assert.equal(trace.cause, 'claim mapping `payments/checkout/ws_of_project`: `/terraform_workspace_id` is "WS_of_project" and must equal "ws_of_project": only upper and lower case differ');
    assert.deepEqual(trace.mappings.map(({ mapping }) => mapping), ['payments/checkout/ws_of_project']);
    assert.equal(trace.claims, null);
    assert.ok(trace.hiddenMappings > 0);
    assert.doesNotMatch(JSON.stringify(trace), /run-hidden|ws_of_refunds|ws_platform|org-abc/);
  });

  test('gets the trace of a token it pastes, without the issuer\'s rules', async () => {
    const { trace } = await explain({ token: world.hcp.token(terraformClaims({ aud: 'https://elsewhere.example' })) }, { as: project, at: projectApi() });
    assert.equal(trace.cause, 'audience: the token is meant for somebody else (the token has "https://elsewhere.example")');
    assert.ok(trace.checks.every((step) => !('expected' in step)));
  });

  test('is told of a token of an issuer that none of its mappings names what it is told of one nobody registered', async () => {
    const known = (await explain({ token: world.corporate.token({ aud: 'x', sub: 'x' }) }, { as: project, at: projectApi() })).trace;
    const unknown = (await explain({ token: world.stranger.token({ aud: 'x', sub: 'x' }) }, { as: project, at: projectApi() })).trace;
    const told = ({ checks, issuer, ...rest }: Trace & { issuer?: unknown }): unknown => [issuer, checks.map(({ actual: _actual, because: _because, ...each }: Record<string, unknown>) => each), { ...rest, claims: null, cause: null, causes: [] }];
    assert.deepEqual(told(known), told(unknown));
    assert.equal(known.cause!.replace(/ \(.*/, ''), unknown.cause!.replace(/ \(.*/, ''));
  });

  test('asks at the account in vain, as if there were nothing to ask', async () => {
    assert.equal((await explain({ token: 'a.b.c' }, { as: project })).status, 404);
  });
});

describe('nobody else is told anything', () => {
  test('an exchange that concerns no mapping of the asker is an exchange that never was', async () => {
    const id = await refused({ terraform_workspace_id: 'WS_of_project' });
    const [hidden, absent] = await Promise.all([id, '00000000-0000-7000-8000-000000000000'].map((correlationId) => explain({ correlationId }, { as: other, at: scopeApi(world.server, 'platform/edge') })));
    const bare = ({ status, body }: RemoteAnswer): unknown => [status, { ...(body as object), instance: null }];
    assert.equal(hidden!.status, 404);
    assert.deepEqual(bare(hidden!), bare(absent!));
  });

  const questions: [says: string, body: Record<string, string>, status: number][] = [
    ['no question', {}, 400],
    ['two at once', { token: 'a.b.c', correlationId: 'x' }, 400],
    ['an event that is no id', { event: 'x' }, 400],
    ['an event that is not there', { event: '00000000-0000-7000-8000-000000000000' }, 404],
    ['an id nobody was given', { correlationId: 'nobody' }, 404],
    ['an id with U+0000', { correlationId: 'a\0b' }, 400],
  ];
  for (const [says, body, status] of questions) test(`${says}: ${status}`, async () => assert.equal((await explain(body)).status, status));
});
