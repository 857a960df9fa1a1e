/** Ways round the rules of granting (CONTRACTS §5), by the name of the attack: each over HTTP, each in vain. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { collectionOf } from '#kernel/kind.ts';
import type { RemoteAnswer } from '#platform/remote.ts';
import { issue, issuerKey } from '#test/parties/tokens.ts';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { problem } from './answers.ts';
import { auditMark, told } from './audit-rows.ts';
import type { Document, Peopled } from './escalation-world.ts';
import {
  account, applyAs, arrange, binding, clerkPermissions, connector, doc, granted, group, issuer, leftBehind, mapping, members, peopled, resources, secret, tokenFor, user,
} from './escalation-world.ts';
import { pipeline, step } from './runs.ts';

let server: TestServer;
let place: Peopled;

before(async () => {
  server = await startTestServer();
  place = await peopled(server, 'guarded');
});

const call = (method: string, path: string, token: string, body?: object): Promise<RemoteAnswer> =>
  server.call({ method, path: `${place.api}/${path}`, token, ...(body === undefined ? {} : { body }) });
const save = (documents: readonly Document[], token: string, more: object = {}): Promise<RemoteAnswer> => applyAs(place, documents, token, more);
const ok = (answer: RemoteAnswer): void => assert.ok(answer.status >= 200 && answer.status < 300, JSON.stringify(answer.body));

async function may(principal: string, permission: string, resource: string): Promise<boolean> {
  const answer = await call('POST', 'access:check', place.adminToken, { principal, permission, resource });
  return (answer.body as { allowed: boolean }).allowed;
}

/** Refused so, with nothing written and one row in the audit where refusals of rights have one. */
async function inVain(ask: () => Promise<RemoteAnswer>, status: number, code: string): Promise<void> {
  const [since, left] = [await auditMark(server), await leftBehind(place)];
  problem(await ask(), status, code);
  assert.deepEqual(await leftBehind(place), left);
  assert.deepEqual(told(await since()).map(({ outcome }) => outcome), code.startsWith('access.') ? ['refused'] : []);
}

/** Somebody of one test alone, who may edit everything but not what the test leaves out. */
async function somebody(name: string, more: readonly Document[] = [], role = 'clerk'): Promise<string> {
  await arrange(place, [doc('User', name, { email: `${name}@example.com` }), binding(name, user(name), role), ...more]);
  return tokenFor(place, { type: 'user', path: name });
}

describe('what is held in part', () => {
  const rows: readonly [how: string, documents: readonly Document[], allowed: boolean][] = [
    ['a role in the project where it is held', [binding('new', user('guest'), 'account.treasure', { scope: 'payments/checkout' })], true],
    ['a role in the org around it', [binding('new', user('guest'), 'account.treasure', { scope: 'payments' })], false],
    ['a role in a project beside it', [binding('new', user('guest'), 'account.treasure', { scope: 'payments/refunds' })], false],
    ['a role at the account over that project alone', [resources('only_there', { scopes: [{ scope: 'payments/checkout' }], all: true }), binding('new', user('guest'), 'treasure', { resourceGroup: 'only_there' })], true],
    ['a role at the account over that project and another', [resources('both', { scopes: [{ scope: 'payments/checkout' }, { scope: 'payments/refunds' }], all: true }), binding('new', user('guest'), 'treasure', { resourceGroup: 'both' })], false],
    ['a mapping to that project', [mapping({ grants: [granted({ scope: 'payments/checkout' })] }, 'new')], true],
    ['a mapping to that project and another', [mapping({ grants: [granted({ scope: { from: '/project', map: { a: 'payments/checkout', b: 'payments/refunds' } } })] }, 'new')], false],
    ['use from that project', [connector('new', ['payments/checkout'])], true],
    ['use from that project and another', [connector('new', ['payments/checkout', 'payments/refunds'])], false],
    ['use from the org', [connector('new', ['payments'])], false],
  ];
  for (const [how, documents, allowed] of rows) {
    test(`${allowed ? 'can be given' : 'cannot be given'}: ${how}`, async () => {
      const answer = await applyAs(place, documents, place.local, {}, 'plan');
      if (allowed) ok(answer);
      else problem(answer, 403, 'access.escalation');
    });
  }

  test('a runner may be registered where all of it is held, and not around it', async () => {
    ok(await call('POST', 'orgs/payments/projects/checkout/runner-registrations', place.local, {}));
    await inVain(() => call('POST', 'orgs/payments/runner-registrations', place.local, {}), 403, 'access.escalation');
  });

  const weak: readonly [how: string, name: string, more: Document][] = [
    ['under a condition', 'conditional', binding('conditional_treasure', user('conditional'), 'treasure', { resourceGroup: 'tagged' })],
    ['for a time that is over', 'late', binding('late_treasure', user('late'), 'treasure', { more: { expiresAt: '2020-01-01T00:00:00Z' } })],
    ['by a binding that is disabled', 'stopped', binding('stopped_treasure', user('stopped'), 'treasure', { more: { disabled: true } })],
    ['over one name', 'named', binding('named_treasure', user('named'), 'account.treasure', { scope: 'payments', resourceGroup: 'narrow' })],
  ];
  for (const [how, name, more] of weak) {
    test(`gives nothing that is held ${how}`, async () => {
      const token = await somebody(name, [more]);
      await inVain(() => save([binding('new', user('guest'), 'account.treasure', { scope: 'payments' })], token), 403, 'access.escalation');
      await inVain(() => save([{ ...secret('new', {}, 'payments'), tags: { team: 'core' } }], token), 403, 'access.escalation');
    });
  }

  test('who governs a kind may set what conditions read, and gives nothing else by that', async () => {
    ok(await applyAs(place, [{ ...secret('plain', { value: undefined }, 'payments'), tags: { team: 'core', owner: 'red' } }], place.governor, {}, 'plan'));
    ok(await applyAs(place, [doc('User', 'guest', { email: 'guest@example.com' }, undefined, { tags: { crew: 'red' } })], place.governor, {}, 'plan'));
    problem(await applyAs(place, [binding('new', user('guest'), 'treasure', { resourceGroup: 'tagged' })], place.governor, {}, 'plan'), 403, 'access.escalation');
    problem(await applyAs(place, [doc('User', 'guest', { email: 'mallory@example.com' })], place.governor, {}, 'plan'), 403, 'access.escalation');
  });
});

describe('order and time', () => {
  test('rights that a call gives do not count in that call, whichever document comes first', async () => {
    const gives = connector('all_at_once', ['**']);
    const grants = binding('all_at_once', user('clerk'), 'treasure');
    for (const documents of [[gives, grants], [grants, gives], [members('innermost', [user('clerk')]), gives], [gives, members('innermost', [user('clerk')])]]) {
      await inVain(() => save(documents, place.clerk), 403, 'access.escalation');
    }
  });

  test('one step at a time leads nowhere either', async () => {
    ok(await save([members('stairs', [user('clerk')]), members('landing', [group('stairs')])], place.clerk));
    await inVain(() => save([members('innermost', [group('landing')])], place.clerk), 403, 'access.escalation');
    ok(await save([doc('Role', 'steps', { level: 'account', permissions: ['secret.access'] })], place.clerk));
    await inVain(() => save([binding('steps', group('stairs'), 'steps')], place.clerk), 403, 'access.escalation');
    ok(await save([doc('Role', 'steps', { level: 'account', permissions: [] })], place.clerk));
    ok(await save([binding('steps', group('stairs'), 'steps')], place.clerk));
    await inVain(() => save([doc('Role', 'steps', { level: 'account', permissions: ['secret.access'] })], place.clerk), 403, 'access.escalation');
  });

  test('a document twice in one call is refused as such', async () => {
    const answer = await save([binding('plain', user('guest'), 'plain'), binding('plain', user('guest'), 'treasure')], place.clerk);
    problem(answer, 400, 'request.invalid');
  });
});

describe('deleting and making again', () => {
  test('a resource group wakes no binding', async () => {
    ok(await call('DELETE', 'orgs/payments/resource-groups/one_scope?cascade=true', place.clerk));
    ok(await save([resources('one_scope', { includeChildScopes: true, resources: [{ type: 'secret' }] }, 'payments')], place.clerk));
    assert.equal(await may('user:guest', 'secret.access', 'payments/plain'), false);
    const again = binding('one_scope', user('guest'), 'account.treasure', { resourceGroup: 'one_scope', scope: 'payments' });
    await inVain(() => save([again], place.clerk), 403, 'access.escalation');
  });

  test('a role wakes no binding and no grant', async () => {
    ok(await call('DELETE', 'roles/mapped?cascade=true', place.clerk));
    ok(await save([doc('Role', 'mapped', { level: 'account', permissions: ['secret.view', 'secret.access'] })], place.clerk));
    await inVain(() => save([mapping({ grants: [{ role: 'mapped', scope: 'payments', resources: [{ type: 'secret' }] }] }, 'modest')], place.clerk), 403, 'access.escalation');
  });

  test('a group wakes no binding, nor its place in another', async () => {
    await arrange(place, [members('reborn', []), members('around', [group('reborn')]), binding('reborn', group('reborn'), 'treasure'), binding('around', group('around'), 'treasure')]);
    ok(await call('DELETE', 'user-groups/reborn?cascade=true', place.clerk));
    ok(await save([members('reborn', [user('guest')])], place.clerk));
    assert.equal(await may('user:guest', 'connector.access', 'partner'), false);
    await inVain(() => save([binding('reborn', group('reborn'), 'treasure')], place.clerk), 403, 'access.escalation');
    await inVain(() => save([members('around', [group('reborn')])], place.clerk), 403, 'access.escalation');
  });

  test('an issuer is not the one its mappings mean', async () => {
    ok(await call('DELETE', 'trusted-issuers/corporate?cascade=true', place.clerk));
    ok(await save([issuer({ keys: { jwksUri: 'https://mallory.example/jwks' } })], place.clerk));
    await inVain(() => save([mapping()], place.clerk), 403, 'access.escalation');
  });

  test('something that a condition left out is not made again within it', async () => {
    ok(await call('DELETE', 'orgs/payments/secrets/plain', place.clerk));
    await inVain(() => save([{ ...secret('plain', {}, 'payments'), tags: { team: 'core' } }], place.clerk), 403, 'access.escalation');
    ok(await call('DELETE', 'orgs/payments/external-resources/one', place.adminToken));
    await inVain(() => save([doc('ExternalResource', 'one', { type: 'record', id: 'record-1', attributes: { status: 'active' } }, 'payments')], place.clerk), 403, 'access.escalation');
  });

  test('what is registered is not taken away, so that an application may say of it what a condition wants to hear', async () => {
    const record = (id: string, status: string): Document => doc('ExternalResource', 'locked', { type: 'record', id, attributes: { status } }, 'payments');
    await arrange(place, [record('record-3', 'archived')]);
    await inVain(() => call('DELETE', 'orgs/payments/external-resources/locked', place.clerk), 403, 'access.escalation');
    await inVain(() => save([record('record-4', 'archived')], place.clerk), 403, 'access.escalation');
    const moved: Document = { ...record('record-3', 'archived'), identifier: 'moved' };
    await arrange(place, [record('record-5', 'archived')]);
    ok(await applyAs(place, [moved], place.clerk, {}, 'plan'));
    ok(await call('DELETE', 'orgs/payments/external-resources/locked', place.adminToken));
  });

  const retired: readonly [kind: string, at: string, document: Document][] = [
    ['a user', 'users/brief', doc('User', 'brief', { email: 'brief@example.com' })],
    ['a service account', 'orgs/payments/service-accounts/brief', doc('ServiceAccount', 'brief', {}, 'payments')],
    ['an org', 'organizations/brief', doc('Organization', 'brief', {})],
    ['a project', 'orgs/payments/projects/brief', doc('Project', 'brief', {}, 'payments')],
    ['a connector', 'connectors/brief', connector('brief', [])],
  ];
  for (const [kind, at, document] of retired) {
    test(`the name of ${kind} is not given out twice`, async () => {
      await arrange(place, [document]);
      ok(await call('DELETE', `${at}?cascade=true`, place.clerk));
      await inVain(() => save([document], place.clerk), 409, 'resource.identifier_retired');
      await inVain(() => save([document], place.adminToken), 409, 'resource.identifier_retired');
    });
  }
});

describe('names that are built in', () => {
  for (const [kind, identifier, spec] of [
    ['Role', 'account_admin', { level: 'account', permissions: [] }], ['Role', 'project_viewer', { level: 'project', permissions: ['secret.access'] }],
    ['ResourceGroup', 'all_resources_including_child_scopes', { all: true }], ['ResourceGroup', 'all_project_level_resources', { resources: [] }],
  ] as const) {
    test(`cannot be taken, at any scope: ${identifier}`, async () => {
      for (const scope of ['/', 'payments', 'payments/checkout']) {
        await inVain(() => save([doc(kind, identifier, spec, scope)], place.clerk), 409, 'resource.built_in');
        await inVain(() => save([doc(kind, identifier, spec, scope)], place.adminToken), 409, 'resource.built_in');
      }
      const path = `${collectionOf(kind === 'Role' ? 'role' : 'resource_group')}/${identifier}`;
      for (const [method, body] of [['PUT', { spec }], ['DELETE', undefined]] as const) assert.ok([404, 409].includes((await call(method, path, place.adminToken, body)).status), method);
    });
  }

  test('nor can a kind of the product be taken by another system', async () => {
    await inVain(() => save([doc('ResourceType', 'secret', { external: true, levels: ['account'], verbs: ['access'] })], place.clerk), 400, 'request.invalid');
  });
});

describe('sets of documents', () => {
  const withoutDelete = clerkPermissions.filter((permission) => !permission.endsWith('.delete'));

  test('pruning deletes nothing that its caller may not delete', async () => {
    await arrange(place, [doc('Role', 'importer', { level: 'account', permissions: withoutDelete })]);
    const token = await somebody('importer', [], 'importer');
    ok(await save([doc('Role', 'of_set', { level: 'account', permissions: [] }), resources('of_set', { all: true })], place.adminToken, { set: 'platform' }));
    await inVain(() => save([doc('Role', 'of_set', { level: 'account', permissions: [] })], token, { set: 'platform', prune: true }), 403, 'access.denied');
  });

  test('moving documents into a set of one’s own needs the right to edit them', async () => {
    await arrange(place, [doc('Role', 'reader', { level: 'account', permissions: ['role.view', 'role_binding.view', 'user.view'] })]);
    const token = await somebody('mover', [], 'reader');
    ok(await save([binding('victim', user('victim'), 'treasure')], token));
    await inVain(() => save([binding('victim', user('victim'), 'treasure')], token, { set: 'mine' }), 403, 'access.denied');
  });

  test('pruning leaves no last administrator behind, and what it deletes wakes nothing', async () => {
    const everybody = [binding('setup_admin_admin', user('admin'), 'account_admin'), binding('deputy', user('deputy'), 'account_admin')];
    ok(await save(everybody, place.adminToken, { set: 'admins' }));
    await inVain(() => save([members('instead', [])], place.adminToken, { set: 'admins', prune: true }), 409, 'access.last_admin');
  });

  test('what is pruned and what is saved in one call is asked about as after it', async () => {
    const small = [resources('pruned', { resources: [] }, 'payments'), binding('pruned', user('guest'), 'account.treasure', { scope: 'payments', resourceGroup: 'pruned' })];
    ok(await save(small, place.adminToken, { set: 'swap' }));
    const wide = [resources('pruned_2', { resources: [{ type: 'secret' }] }, 'payments'), binding('pruned', user('guest'), 'account.treasure', { scope: 'payments', resourceGroup: 'pruned_2' })];
    await inVain(() => save(wide, place.clerk, { set: 'swap', prune: true }), 403, 'access.escalation');
  });
});

describe('`role.bind`', () => {
  const binds = (scope: string) => [
    doc('Role', 'binder', { level: 'account', permissions: ['role.bind'] }), binding('binds', user('binder'), 'account.binder', { scope }),
  ];

  test('is for bindings, at its scope, and for nothing else', async () => {
    const token = await somebody('binder', binds('payments/checkout'));
    ok(await applyAs(place, [binding('bound', user('guest'), 'account.treasure', { scope: 'payments/checkout' })], token, {}, 'plan'));
    const others: readonly Document[][] = [
      [binding('bound', user('guest'), 'account.treasure', { scope: 'payments' })],
      [binding('bound', user('guest'), 'account.treasure', { scope: 'payments/refunds' })],
      [doc('ClaimMapping', 'bound', { issuer: 'account.other', when: [{ claim: '/sub', equals: 'x' }], grants: [{ role: 'account.treasure', scope: 'payments/checkout', resources: [{ type: 'secret' }] }] }, 'payments/checkout')],
      [doc('Role', 'plain', { level: 'account', permissions: ['role.view', 'secret.access'] })],
      [members('innermost', [user('binder')])],
      [resources('narrow', { all: true }, 'payments')],
    ];
    for (const documents of others) await inVain(() => save(documents, token), 403, 'access.escalation');
  });

  test('gives nothing below, where it is held without child scopes itself', async () => {
    const token = await somebody('shallow_binder', [
      doc('Role', 'binder', { level: 'account', permissions: ['role.bind'] }),
      binding('binds_here', user('shallow_binder'), 'account.binder', { scope: 'payments', resourceGroup: 'all_org_level_resources' }),
      resources('checkout_of_it', { scopes: [{ scope: 'payments/checkout' }], all: true }, 'payments'),
    ]);
    const bound = (resourceGroup: string): Document[] => [binding('bound', user('guest'), 'account.treasure', { scope: 'payments', resourceGroup })];
    ok(await applyAs(place, bound('all_org_level_resources'), token, {}, 'plan'));
    for (const group of ['all_resources_including_child_scopes', 'checkout_of_it']) await inVain(() => save(bound(group), token), 403, 'access.escalation');
  });
});

describe('a credential that may not administer', () => {
  const key = issuerKey('ES256', 'one');
  const nowSeconds = () => Math.floor(server.clock.now().getTime() / 1_000);
  const outside = (sub: string): string => issue(key, { iss: 'https://inline.example', sub, aud: 'https://sallyport.example', iat: nowSeconds(), exp: nowSeconds() + 300 });
  const session = async (sub: string): Promise<string> => {
    const form = { grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', subject_token: outside(sub), subject_token_type: 'urn:ietf:params:oauth:token-type:jwt' };
    const answer = await server.call({ method: 'POST', path: `/accounts/guarded/oauth/token`, form, token: null });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    return (answer.body as { access_token: string }).access_token;
  };
  const admits = (identifier: string, more: object = {}): Document =>
    doc('ClaimMapping', identifier, { issuer: 'inline', when: [{ claim: '/sub', equals: identifier }], grants: [{ role: 'account_admin', scope: '/', resourceGroup: 'all_resources_including_child_scopes' }], session: { ttl: '10m' }, ...more });

  before(async () => {
    await arrange(place, [
      doc('TrustedIssuer', 'inline', { issuer: 'https://inline.example', audiences: ['https://sallyport.example'], keys: { jwks: { keys: [key.jwk] } }, algorithms: ['ES256'] }),
      admits('modest_robot'), admits('robot_admin', { mayAdminister: true }),
      doc('ServiceAccount', 'chief', {}), binding('chief', account('chief'), 'account_admin'),
    ]);
  });

  const administers: readonly [what: string, ask: (token: string) => Promise<RemoteAnswer>][] = [
    ['makes no role', (token) => save([doc('Role', 'new', { level: 'account', permissions: [] })], token)],
    ['edits no role', (token) => save([doc('Role', 'plain', { level: 'account', permissions: [] })], token)],
    ['deletes no role', (token) => call('DELETE', 'roles/plain?cascade=true', token)],
    ['makes no binding', (token) => save([binding('new', user('guest'), 'plain')], token)],
    ['disables no binding', (token) => save([binding('plain', user('guest'), 'plain', { more: { disabled: true } })], token)],
    ['deletes no binding', (token) => call('DELETE', 'role-bindings/plain', token)],
    ['deletes no org with bindings in it', (token) => call('DELETE', 'organizations/payments?cascade=true', token)],
    ['makes no issuer', (token) => save([{ ...issuer({ issuer: 'https://new.example' }), identifier: 'new' }], token)],
    ['edits no issuer', (token) => save([issuer({ algorithms: ['ES256'] })], token)],
    ['deletes no issuer', (token) => call('DELETE', 'trusted-issuers/other?cascade=true', token)],
    ['makes no mapping', (token) => save([mapping({ issuer: 'inline', grants: [] }, 'new')], token)],
    ['says of no mapping that its sessions may administer', (token) => save([admits('modest_robot', { mayAdminister: true })], token)],
    ['deletes no mapping', (token) => call('DELETE', 'claim-mappings/empty', token)],
    ['registers no runner', (token) => call('POST', 'runner-registrations', token, {})],
    ['joins nobody to a group that gives', (token) => save([members('innermost', [user('guest')])], token)],
    ['widens no resource group that gives', (token) => save([resources('narrow', { all: true }, 'payments')], token)],
    ['enables nobody who has something', (token) => save([doc('User', 'sleeper', { email: 'sleeper@example.com' })], token)],
  ];

  for (const [what, ask] of administers) {
    test(`${what}, though its principal is the account’s admin: a session, a personal token, one of a service account`, async () => {
      const tokens = [await session('modest_robot'), await tokenFor(place, { type: 'user', path: 'admin' }, {}), await tokenFor(place, { type: 'service_account', path: 'chief' }, {})];
      for (const token of tokens) await inVain(() => ask(token), 403, 'access.administer');
    });
  }

  test('makes none that may, and a session makes none at all', async () => {
    const personal = await tokenFor(place, { type: 'user', path: 'admin' }, {});
    await inVain(() => call('POST', 'api-tokens', personal, { name: 'more', mayAdminister: true, ttl: '1h' }), 403, 'access.administer');
    for (const sub of ['modest_robot', 'robot_admin']) {
      const token = await session(sub);
      await inVain(() => call('POST', 'api-tokens', token, { name: 'mine', principal: { type: 'service_account', path: 'chief' }, ttl: '1m' }), 403, 'access.denied');
      await inVain(() => call('POST', 'api-tokens:impersonate', token, { principal: { type: 'user', path: 'guest' }, reason: 'x' }), 403, 'access.denied');
    }
  });

  test('becomes one that may by what its mapping says, and not before', async () => {
    ok(await applyAs(place, [doc('Role', 'new', { level: 'account', permissions: [] })], await session('robot_admin'), {}, 'plan'));
    const earlier = await session('modest_robot');
    await arrange(place, [admits('modest_robot', { mayAdminister: true })]);
    await inVain(() => save([doc('Role', 'new', { level: 'account', permissions: [] })], earlier), 403, 'access.administer');
    ok(await applyAs(place, [doc('Role', 'new', { level: 'account', permissions: [] })], await session('modest_robot'), {}, 'plan'));
  });

  test('is what an impersonation is, whoever made it', async () => {
    const made = await call('POST', 'api-tokens:impersonate', place.adminToken, { principal: { type: 'user', path: 'deputy' }, reason: 'ticket 7' });
    const { token } = made.body as { token: string };
    await inVain(() => save([doc('Role', 'new', { level: 'account', permissions: [] })], token), 403, 'access.administer');
    await inVain(() => call('POST', 'api-tokens', token, { name: 'mine', ttl: '1m' }), 403, 'access.denied');
  });
});

describe('what does not exist gives nothing', () => {
  test('no operation sets a password, a second factor or an identity link of another', () => {
    const about = server.app.operations.map(({ name }) => name).filter((name) => /password|factor|totp|webauthn|passkey|identit/.test(name));
    assert.deepEqual(about, [], 'each of these takes all that the principal holds, and a row among the attempts');
  });

  test('no kind is a secret manager, and no document says as whom it runs', async () => {
    assert.equal(server.app.kinds.kinds.has('secret_manager'), false, 'bringing one takes `secret.access` and `connector.access`, and a row among the attempts');
    const { spec } = pipeline('runs_as', { build: [step('hello')] }) as { spec: object };
    for (const more of [{ runAs: user('victim') }, { pipeline: { ...(spec as { pipeline: object }).pipeline, runAs: user('victim') } }]) {
      await inVain(() => save([doc('Pipeline', 'runs_as', { ...spec, ...more }, 'payments/checkout')], place.adminToken), 400, 'request.invalid');
    }
  });
});

describe('a token that is narrowed by a condition', () => {
  test('does not bring things within its condition', async () => {
    const bounds = [
      { permissions: ['secret.view', 'secret.edit', 'secret.create'], scope: 'payments' },
      { permissions: ['secret.access'], scope: 'payments', resources: [{ type: 'secret', where: { 'tags.stage': { equals: 'dev' } } }] },
    ];
    const token = await tokenFor(place, { type: 'user', path: 'admin' }, { bounds });
    const dev = { ...secret('password', { value: undefined, usableFrom: ['payments/checkout'] }, 'payments'), tags: { stage: 'dev' } };
    await inVain(() => save([dev], token), 403, 'access.escalation');
    await inVain(() => save([{ ...secret('new', {}, 'payments'), tags: { stage: 'dev' } }], token), 403, 'access.escalation');
    ok(await applyAs(place, [{ ...dev, tags: { stage: 'prod' } }], token, {}, 'plan'));
    ok(await applyAs(place, [dev], await tokenFor(place, { type: 'user', path: 'admin' }), {}, 'plan'));
  });
});
