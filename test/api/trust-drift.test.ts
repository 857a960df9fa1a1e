import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { terraformClaims } from '#test/parties/issuer.ts';
import type { TestServer } from '#test/server.ts';
import type { TrustWorld } from './trust-world.ts';
import { administers, startTrustWorld, workspace } from './trust-world.ts';

interface Pin {
  readonly pin: string;
  readonly claim: string;
  readonly name: string;
  readonly tenant: string;
  readonly id: string;
  readonly otherId: string | null;
  readonly acceptedBy: string | null;
  readonly refused: number;
}

let world: TrustWorld;
let server: TestServer;

before(async () => {
  world = await startTrustWorld();
  ({ server } = world);
});

const tenant = { claim: '/terraform_organization_id', equals: 'org-abc' };
const named = (name: string) => ({ claim: '/terraform_workspace_name', equals: name });
const token = (name: string, id: string, changes: object = {}): string => world.hcp.token(terraformClaims({ terraform_workspace_name: name, terraform_workspace_id: id, ...changes }));
const apply = (name: string, when: object[], changes: object = {}) => server.apply([workspace({ when, ...changes }, name)]);

async function pins(query = '?all=true', credential?: string): Promise<Pin[]> {
  const answer = await server.call({ method: 'GET', path: `${server.api}/trusted-issuers/hcp/drift${query}`, ...(credential === undefined ? {} : { token: credential }) });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return (answer.body as { items: Pin[] }).items;
}

const pinOf = async (name: string): Promise<Pin | undefined> => (await pins()).find((pin) => pin.name === name);
const accept = (pin: string, id: string, credential?: string) =>
  server.call({ method: 'POST', path: `${server.api}/trusted-issuers/hcp/drift:accept`, body: { pin, id }, ...(credential === undefined ? {} : { token: credential }) });

async function driftsCounted(): Promise<number> {
  const { body } = await server.call({ method: 'GET', path: '/metrics' });
  return Number(/^sallyport_id_drift_total (\d+)$/m.exec(String(body))?.[1] ?? 0);
}

describe('a name that somebody else got', () => {
  test('recycling: a workspace that is deleted and made again by a stranger is refused and alarmed, until somebody accepts it', async () => {
    await apply('recycled', [tenant, named('recycled')]);
    await world.exchange(token('recycled', 'ws-old'));
    await world.exchange(token('recycled', 'ws-old'));
    assert.deepEqual((({ claim, tenant: of, id, otherId, refused }) => ({ claim, of, id, otherId, refused }))((await pinOf('recycled'))!), { claim: '/terraform_workspace_name', of: 'org-abc acme', id: 'ws-old', otherId: null, refused: 0 });

    const counted = await driftsCounted();
    const answer = await world.tryExchange(token('recycled', 'ws-new'));
    assert.deepEqual([answer.status, (answer.body as { error: string }).error], [400, 'invalid_request']);
    const [event, ...others] = await world.audit({ requestId: (answer.body as { correlation_id: string }).correlation_id });
    assert.equal(others.length, 0);
    assert.deepEqual([event!.action, event!.outcome, event!.detail.code, event!.detail.check], ['session.refused', 'refused', 'trust.id_drift', 'id_drift']);
    assert.match(event!.detail.because, /`recycled` is pinned to `\/terraform_workspace_id` `ws-old` and comes with `\/terraform_workspace_id` `ws-new`/);
    assert.equal((await driftsCounted()) > counted, true);

    const [drifted] = (await pins('')).filter(({ name }) => name === 'recycled');
    assert.deepEqual([drifted!.id, drifted!.otherId, drifted!.refused], ['ws-old', 'ws-new', 1]);
    await world.exchange(token('recycled', 'ws-old'));

    const explained = (await server.call({ method: 'POST', path: `${server.api}/sessions:explain`, body: { token: token('recycled', 'ws-new') } })).body as { accepted: boolean; cause: string };
    assert.equal(explained.accepted, false);
    assert.match(explained.cause, /`recycled` is pinned to/);
    assert.equal((await pins('')).find(({ name }) => name === 'recycled')!.refused, 1, 'an explanation is no alarm');

    const unseen = await accept(drifted!.pin, 'ws-newer');
    assert.deepEqual([unseen.status, (unseen.body as { code: string }).code], [409, 'trust.pin_unknown']);
    const accepted = await accept(drifted!.pin, 'ws-new');
    assert.deepEqual([accepted.status, accepted.body], [200, { claim: '/terraform_workspace_name', name: 'recycled', was: 'ws-old' }]);
    await world.exchange(token('recycled', 'ws-new'));
    assert.equal((await world.tryExchange(token('recycled', 'ws-old'))).status, 400, 'the old one is the stranger now');
    const [row] = await world.audit({ action: 'trusted_issuer.accept_drift' });
    assert.deepEqual([row!.resource!.path, row!.detail['name'], row!.detail['was'], row!.detail['id']], ['hcp', 'recycled', 'ws-old', 'ws-new']);
    assert.notEqual((await pinOf('recycled'))!.acceptedBy, null);
  });

  test('a mapping that states the id never pins', async () => {
    await apply('stated', [tenant, named('stated'), { claim: '/terraform_workspace_id', oneOf: ['ws-a', 'ws-b'] }]);
    await world.exchange(token('stated', 'ws-a'));
    await world.exchange(token('stated', 'ws-b'));
    assert.equal(await pinOf('stated'), undefined);
  });

  test('a mapping that compares no name never pins', async () => {
    await apply('nameless', [tenant, { claim: '/terraform_workspace_id', equals: 'ws-nameless' }]);
    await world.exchange(token('unheard', 'ws-nameless'));
    assert.equal(await pinOf('unheard'), undefined);
  });

  test('nothing is pinned by a token of another tenant, of another audience or of somebody else\'s signature', async () => {
    await apply('squatted', [tenant, named('squatted')]);
    const attempts = [
      token('squatted', 'ws-evil', { terraform_organization_id: 'org-evil' }),
      token('squatted', 'ws-evil', { aud: 'https://other.example' }),
      world.stranger.token({ ...terraformClaims({ terraform_workspace_name: 'squatted', terraform_workspace_id: 'ws-evil' }), iss: world.hcp.url }),
    ];
    for (const attempt of attempts) assert.equal((await world.tryExchange(attempt)).status, 400);
    assert.equal(await pinOf('squatted'), undefined);
    await world.exchange(token('squatted', 'ws-good'));
    assert.equal((await pinOf('squatted'))!.id, 'ws-good');
  });

  test('where no tenant is stated, the name is pinned whoever the tenant is', async () => {
    await apply('roaming', [named('roaming')]);
    await world.exchange(token('roaming', 'ws-1', { terraform_organization_id: 'org-one' }));
    assert.equal((await world.tryExchange(token('roaming', 'ws-2', { terraform_organization_id: 'org-two' }))).status, 400);
  });

  test('a name in an expression, in a pattern, and one that a scope is taken from are pinned too', async () => {
    await apply('by_expression', [tenant, { claim: '/terraform_run_phase', equals: 'by_expression' }], { condition: 'claims.terraform_workspace_name == "expressed"' });
    await apply('by_pattern', [tenant, { claim: '/terraform_workspace_name', glob: 'patterned-*' }]);
    await apply('by_scope', [tenant, { claim: '/terraform_run_phase', equals: 'by_scope' }], { grants: [{ ...administers, scope: { from: '/terraform_project_name', map: { mapped: 'payments/checkout' } } }] });
    await world.exchange(token('expressed', 'ws-1', { terraform_run_phase: 'by_expression' }));
    await world.exchange(token('patterned-x', 'ws-1'));
    await world.exchange(token('x', 'ws-1', { terraform_run_phase: 'by_scope', terraform_project_name: 'mapped' }));
    assert.deepEqual([(await pinOf('expressed'))!.id, (await pinOf('patterned-x'))!.id, (await pinOf('mapped'))!.id], ['ws-1', 'ws-1', 'prj-A']);
    for (const attempt of [token('expressed', 'ws-2', { terraform_run_phase: 'by_expression' }), token('patterned-x', 'ws-2'), token('x', 'ws-1', { terraform_run_phase: 'by_scope', terraform_project_name: 'mapped', terraform_project_id: 'prj-Z' })]) {
      assert.equal((await world.tryExchange(attempt)).status, 400);
    }
  });

  test('a mapping that states the id goes on counting beside one whose name has drifted', async () => {
    await apply('beside_name', [tenant, named('beside')], { grants: [{ ...administers, scope: 'payments/refunds' }] });
    await apply('beside_id', [tenant, { claim: '/terraform_workspace_id', equals: 'ws-beside' }]);
    await world.exchange(token('beside', 'ws-first'));
    const session = await world.exchange(token('beside', 'ws-beside'));
    assert.deepEqual([await world.may(session, 'pipeline.edit', 'payments/checkout/recover'), await world.may(session, 'pipeline.edit', 'payments/refunds/recover')], [true, false]);
    const [event] = (await world.audit({ action: 'session.create' }));
    assert.equal((event!.detail['idDrift'] as { name: string }[])[0]!.name, 'beside');
  });

  test('raced: of twenty first tokens with one name and twenty ids, on two nodes, one id wins', async () => {
    await apply('raced', [tenant, named('raced')]);
    const node = await world.anotherNode();
    const form = (subject: string) => ({ grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', subject_token: subject, subject_token_type: 'urn:ietf:params:oauth:token-type:jwt' });
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => [server, node][i % 2]!.call({ method: 'POST', path: '/accounts/default/oauth/token', form: form(token('raced', `ws-${i}`)), token: null })));
    assert.equal(answers.filter(({ status }) => status === 200).length, 1, JSON.stringify(answers.map(({ status }) => status)));
    const pin = await pinOf('raced');
    assert.equal(pin!.id, `ws-${answers.findIndex(({ status }) => status === 200)}`);
  });
});

describe('who accepts that a name is somebody else\'s now', () => {
  test('nobody by a session that may not administer, nor without holding what the name gives', async () => {
    await apply('guarded', [tenant, named('guarded')]);
    await world.exchange(token('guarded', 'ws-old'));
    const stranger = token('guarded', 'ws-new');
    assert.equal((await world.tryExchange(stranger)).status, 400);
    const { pin } = (await pinOf('guarded'))!;
    const session = await world.exchange(token('guarded', 'ws-old'));
    assert.equal((await accept(pin, 'ws-new', session)).status, 404);
    assert.equal((await server.call({ method: 'GET', path: `${server.api}/trusted-issuers/hcp/drift`, token: session })).status, 404);

    await server.apply([
      { kind: 'Role', identifier: 'edits_issuers', spec: { level: 'account', permissions: ['trusted_issuer.view', 'trusted_issuer.edit'] } },
      workspace({ when: [{ claim: '/terraform_workspace_id', equals: 'keeper' }], mayAdminister: true, grants: [{ role: 'edits_issuers', scope: '/', resourceGroup: 'all_account_level_resources' }] }, 'keeper'),
    ]);
    const keeper = await world.exchangeAs('keeper');
    const refused = await accept(pin, 'ws-new', keeper);
    assert.deepEqual([refused.status, (refused.body as { code: string }).code], [403, 'access.escalation']);
    assert.equal((await pinOf('guarded'))!.id, 'ws-old');
    assert.equal((await accept('f'.repeat(64), 'ws-new')).status, 409);
  });
});
