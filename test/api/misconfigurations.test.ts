/**
 * A hundred things that people get wrong, drawn by a seed, each in an account with forty other mappings: the first line of
 * the trace names what is wrong, and where.
 */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { keysPath, terraformClaims } from '#test/parties/issuer.ts';
import type { TestIssuer } from '#test/parties/issuer.ts';
import { issuerKey } from '#test/parties/tokens.ts';
import { seed } from '#test/seed.ts';
import type { TestServer } from '#test/server.ts';
import { makeUser, scopeApi } from './principals.ts';
import type { TrustWorld } from './trust-world.ts';
import { administers, issuerDocument, startTrustWorld } from './trust-world.ts';

type Claims = Record<string, unknown>;

/** What is tried: a token, after documents were applied; the trace must begin like this. */
interface Mistake {
  readonly documents?: readonly Record<string, unknown>[];
  readonly afterwards?: () => Promise<unknown>;
  readonly token: string;
  readonly names: RegExp;
}

const cases = 100;
const wanted = 98;
const account = 'https://sallyport.example';

let world: TrustWorld;
let server: TestServer;
let issuer: TestIssuer;
let other: TestIssuer;
let away: TestIssuer;
let random: () => number;

before(async () => {
  world = await startTrustWorld();
  ({ server } = world);
  random = mulberry(seed);
  [issuer, other, away] = await Promise.all([world.newIssuer(), world.newIssuer(), world.newIssuer()]);
  away.trick(keysPath, { kind: 'status', status: 503 });
  const inline = (of: TestIssuer) => ({ preset: 'hcp_terraform', keys: { jwks: { keys: [of.key.jwk] } } });
  await server.apply([
    issuerDocument('tfe', issuer, inline(issuer)), issuerDocument('tfe_other', other, inline(other)), issuerDocument('tfe_away', away, { preset: 'hcp_terraform', keys: { jwksUri: `${away.url}${keysPath}` } }),
    ...Array.from({ length: 40 }, () => mapping(id('crowd'), {}, id('ws'))),
  ]);
});

function mulberry(from: number): () => number {
  let state = from >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!;
const upTo = (most: number): number => 1 + Math.floor(random() * most);
function id(prefix: string): string {
  return `${prefix}_${Array.from({ length: 10 }, () => pick([...'abcdefghijkmnpqrstuvwxyz23456789'])).join('')}`;
}

function mapping(identifier: string, changes: object, workspace: string, scope?: string): Record<string, unknown> {
  const when = [{ claim: '/terraform_organization_id', equals: 'org-abc' }, { claim: '/terraform_workspace_id', equals: workspace }];
  return { kind: 'ClaimMapping', ...(scope === undefined ? {} : { scope }), identifier, spec: { issuer: scope === undefined ? 'tfe' : 'account.tfe', when, grants: [administers], ...changes } };
}

/** A mapping that lets the workspace in, and the name of both. */
function good(changes: object = {}, scope?: string): { name: string; path: string; workspace: string; documents: Record<string, unknown>[] } {
  const [name, workspace] = [id('m'), id('ws')];
  return { name, path: scope === undefined ? name : `${scope}/${name}`, workspace, documents: [mapping(name, changes, workspace, scope)] };
}

function tokenOf(workspace: string, claims: Claims = {}, options: Parameters<TestIssuer['token']>[1] = {}): string {
  return issuer.token(terraformClaims({ terraform_workspace_id: workspace, ...claims }), options);
}

function ofMapping(path: string, rest: string): RegExp {
  return new RegExp(`^claim mapping \`${path}\`.*${rest}`);
}

const remove = (collection: string, identifier: string, scope = '/') => async (): Promise<unknown> => {
  const answer = await server.call({ method: 'DELETE', path: `${scopeApi(server, scope)}/${collection}/${identifier}?cascade=true` });
  assert.equal(answer.status, 204, JSON.stringify(answer.body));
  return answer;
};

/** A check that fails before any mapping is looked at. */
function ofToken(names: RegExp, claims: (nowSeconds: number) => Claims, options: () => Parameters<TestIssuer['token']>[1] = () => ({})): () => Mistake {
  return () => {
    const { documents, workspace } = good();
    return { documents, token: tokenOf(workspace, claims(world.nowSeconds()), options()), names };
  };
}

const mistakes: Readonly<Record<string, () => Mistake>> = {
  'another audience': ofToken(/^audience: the token is meant for somebody else/, () => ({ aud: pick(['https://other.example', `${account}/`, 'api://default', account.toUpperCase()]) })),
  'one audience more': ofToken(/^audience: the token is meant for others too/, () => ({ aud: [account, 'https://other.example'] })),
  'no audience': ofToken(/^audience: the token has no `aud`/, () => ({}), () => ({ without: ['aud'] })),
  'a token that has expired': ofToken(/^expiry: the token has expired/, (now) => ({ iat: now - 9_000, nbf: now - 9_000, exp: now - 60 - upTo(3_000) })),
  'a token without an end': ofToken(/^expiry: the token has no `exp`/, () => ({}), () => ({ without: ['exp'] })),
  'a token that is not valid yet': ofToken(/^not_before: the token is not valid yet/, (now) => ({ nbf: now + 60 + upTo(200) })),
  'a clock that is ahead': ofToken(/^issued_at: the token was issued in the future/, (now) => ({ iat: now + 60 + upTo(200), nbf: now })),
  'a token that lives too long': ofToken(/^lifetime: the token lives longer/, (now) => ({ exp: now + 90_000 + upTo(90_000) })),
  'times in milliseconds': ofToken(/^expiry: `exp` is no time in seconds/, (now) => ({ exp: (now + 300) * 1_000_000 })),
  'a key that was rotated away': ofToken(/^key: the key the token names is not one of the issuer/, () => ({}), () => ({ key: issuerKey('RS256', id('key')) })),
  'another key of the same name': ofToken(/^signature: /, () => ({}), () => ({ key: issuerKey('RS256', 'key-1') })),
  'an algorithm nobody listed': ofToken(/^algorithm: /, () => ({}), () => ({ key: issuerKey('ES256', 'key-1') })),
  'a token of another type': ofToken(/^type: /, () => ({}), () => ({ header: { typ: pick(['logout+jwt', 'dpop+jwt', 'secevent+jwt']) } })),
  'no workspace in the token': ofToken(/^(?:claims|subject): .*terraform_workspace_id/, () => ({ terraform_workspace_id: undefined })),
  'an issuer with a slash too many': () => ({ token: issuer.token({ ...terraformClaims(), iss: `${issuer.url}/` }), names: /^registered: no TrustedIssuer has this `issuer`; `tfe` has .*byte for byte/ }),
  'an issuer nobody registered': () => ({ token: world.stranger.token(terraformClaims()), names: /^registered: no TrustedIssuer has this `issuer` / }),
  'something that is no token': () => ({ token: pick(['hello', 'a.b', 'eyJhbGciOiJSUzI1NiJ9.e30', '{}']), names: /^read: / }),
  'an issuer whose keys cannot be had': () => ({ token: away.token(terraformClaims()), names: /^keys: / }),
  'a value in another case': () => {
    const { documents, workspace, path } = good();
    return { documents, token: tokenOf(workspace.toUpperCase()), names: ofMapping(path, '`/terraform_workspace_id`.*only upper and lower case differ') };
  },
  'a value with a slip': () => {
    const { documents, workspace, path } = good();
    return { documents, token: tokenOf(`${workspace.slice(0, -1)}_`), names: ofMapping(path, '`/terraform_workspace_id`.*one character') };
  },
  'a value with a space': () => {
    const { documents, workspace, path } = good();
    return { documents, token: tokenOf(`${workspace} `), names: ofMapping(path, '`/terraform_workspace_id`.*only spaces') };
  },
  'another tenant': () => {
    const { documents, workspace, path } = good();
    return { documents, token: tokenOf(workspace, { terraform_organization_id: id('org') }), names: ofMapping(path, '`/terraform_organization_id` is "org_\\w+" and must equal "org-abc"') };
  },
  'the plan instead of the apply': () => {
    const [name, workspace] = [id('m'), id('ws')];
    const when = [{ claim: '/terraform_workspace_id', equals: workspace }, { claim: '/terraform_run_phase', equals: 'apply' }];
    return { documents: [mapping(name, { when }, workspace)], token: tokenOf(workspace, { terraform_run_phase: 'plan' }), names: ofMapping(name, '`/terraform_run_phase` is "plan" and must equal "apply"') };
  },
  'a claim of another name': () => {
    const [name, workspace] = [id('m'), id('ws')];
    const when = [{ claim: '/terraform_organization_id', equals: 'org-abc' }, { claim: pick(['/terraform_workspaceid', '/terraform_worksapce_id', '/Terraform_Workspace_Id']), equals: workspace }];
    return { documents: [mapping(name, { when }, workspace)], token: tokenOf(workspace), names: ofMapping(name, 'is not in the token, which has `/terraform_workspace_id`') };
  },
  'a claim that is not there': () => {
    const [name, workspace] = [id('m'), id('ws')];
    const when = [{ claim: '/terraform_workspace_id', equals: workspace }, { claim: '/quarter/name', equals: 'x' }];
    return { documents: [mapping(name, { when }, workspace)], token: tokenOf(workspace), names: ofMapping(name, '`/quarter/name` is not in the token') };
  },
  'a number where the mapping has a text': () => {
    const [name, workspace, number] = [id('m'), id('ws'), upTo(10_000)];
    const when = [{ claim: '/terraform_workspace_id', equals: workspace }, { claim: '/run', equals: String(number) }];
    return { documents: [mapping(name, { when }, workspace)], token: tokenOf(workspace, { run: number }), names: ofMapping(name, `the token has the number ${number}, the mapping wants the text`) };
  },
  'the text `true` where the mapping has true': () => {
    const [name, workspace] = [id('m'), id('ws')];
    const when = [{ claim: '/terraform_workspace_id', equals: workspace }, { claim: '/guarded', equals: true }];
    return { documents: [mapping(name, { when }, workspace)], token: tokenOf(workspace, { guarded: 'true' }), names: ofMapping(name, 'the token has the text "true", the mapping wants the value true') };
  },
  'a list where the mapping has one value': () => {
    const [name, workspace] = [id('m'), id('ws')];
    const when = [{ claim: '/terraform_workspace_id', equals: workspace }, { claim: '/groups', equals: 'deployers' }];
    return { documents: [mapping(name, { when }, workspace)], token: tokenOf(workspace, { groups: ['x', 'deployers'] }), names: ofMapping(name, 'the claim is a list') };
  },
  'an expression that is false': () => {
    const { documents, workspace, path } = good({ condition: 'claims.terraform_run_phase == "plan"' });
    return { documents, token: tokenOf(workspace), names: ofMapping(path, 'its condition .* does not hold: it is false') };
  },
  'an expression about a claim that is missing': () => {
    const { documents, workspace, path } = good({ condition: 'claims.quarter > 3' });
    return { documents, token: tokenOf(workspace), names: ofMapping(path, 'its condition .* does not hold: a claim it reads is missing') };
  },
  'a token that is too old for its mapping': () => {
    const { documents, workspace, path } = good({ maxTokenAge: '1m' });
    const now = world.nowSeconds();
    return { documents, token: tokenOf(workspace, { iat: now - 120, nbf: now - 120 }), names: ofMapping(path, 'the token was older than 60 seconds') };
  },
  'a mapping that wants a key proven': () => {
    const { documents, workspace, path } = good({ proofOfPossession: true });
    return { documents, token: tokenOf(workspace), names: ofMapping(path, 'bound to no key') };
  },
  'a map without the value': () => {
    const scope = { from: '/terraform_project_id', map: { 'prj-Z': 'payments/checkout' } };
    const { documents, workspace, path } = good({ grants: [{ ...administers, scope }] });
    return { documents, token: tokenOf(workspace), names: ofMapping(path, 'matches and gives nothing: grant 0: its scope comes from `/terraform_project_id`: the map has no such value') };
  },
  'a scope beside the mapping': () => {
    const scope = { from: '/where', acceptMutable: true, reason: 'a test' };
    const { documents, workspace, path } = good({ grants: [{ ...administers, scope }] }, 'payments');
    return { documents, token: tokenOf(workspace, { where: 'platform/edge' }), names: ofMapping(path, 'does not lie at or below `payments`') };
  },
  'a scope that is not there': () => {
    const scope = { from: '/where', acceptMutable: true, reason: 'a test' };
    const { documents, workspace, path } = good({ grants: [{ ...administers, scope }] });
    return { documents, token: tokenOf(workspace, { where: 'payments/nowhere' }), names: ofMapping(path, 'there is no scope `payments/nowhere`') };
  },
  'a role that is gone': () => {
    const role = id('role');
    const { documents, workspace, path } = good({ grants: [{ ...administers, role }] });
    return { documents: [{ kind: 'Role', identifier: role, spec: { level: 'project', permissions: ['pipeline.view'] } }, ...documents], afterwards: remove('roles', role), token: tokenOf(workspace), names: ofMapping(path, `the role \`${role}\``) };
  },
  'a role that holds nothing': () => {
    const role = id('role');
    const { documents, workspace, path } = good({ grants: [{ ...administers, role }] });
    return { documents: [{ kind: 'Role', identifier: role, spec: { level: 'project', permissions: [] } }, ...documents], token: tokenOf(workspace), names: ofMapping(path, 'has no permissions') };
  },
  'a resource group that is gone': () => {
    const group = id('group');
    const { documents, workspace, path } = good({ grants: [{ role: 'project_admin', scope: 'payments/checkout', resourceGroup: group }] });
    return { documents: [{ kind: 'ResourceGroup', identifier: group, spec: { resources: [], includeChildScopes: true } }, ...documents], afterwards: remove('resource-groups', group), token: tokenOf(workspace), names: ofMapping(path, `the resource group \`${group}\` is gone`) };
  },
  'resources that select nothing': () => {
    const { documents, workspace, path } = good({ grants: [{ role: 'project_admin', scope: 'payments/checkout', resources: [] }] });
    return { documents, token: tokenOf(workspace), names: ofMapping(path, '`resources` select nothing') };
  },
  'a project that is gone': () => {
    const project = id('p');
    const { documents, workspace, path } = good({ grants: [{ ...administers, scope: `payments/${project}` }] });
    return { documents: [{ kind: 'Project', scope: 'payments', identifier: project, spec: {} }, ...documents], afterwards: remove('projects', project, 'payments'), token: tokenOf(workspace), names: ofMapping(path, `there is no scope \`payments/${project}\``) };
  },
  'no grants': () => {
    const { documents, workspace, path } = good({ grants: [] });
    return { documents, token: tokenOf(workspace), names: ofMapping(path, 'gives nothing: it has no grants') };
  },
  'a mapping of another issuer': () => {
    const { documents, workspace, path } = good();
    return { documents, token: other.token(terraformClaims({ terraform_workspace_id: workspace })), names: ofMapping(path, 'would match, but it is for the issuer `tfe`; the token is of `tfe_other`') };
  },
};

async function firstLine({ documents = [], afterwards, token }: Mistake): Promise<string | null> {
  if (documents.length > 0) await server.apply(documents);
  await afterwards?.();
  const answer = await world.tryExchange(token);
  assert.ok(answer.status >= 400, 'it is no mistake');
  assert.doesNotMatch(JSON.stringify(answer.body), /mapping|claim|audience|expired/, 'the caller is told');
  const explained = await server.call({ method: 'POST', path: `${server.api}/sessions:explain`, body: { token } });
  return (explained.body as { cause: string | null }).cause;
}

describe('what people get wrong', () => {
  test(`${wanted} of ${cases} are named by the first line of the trace`, async () => {
    const names = Object.keys(mistakes);
    const wrong: string[] = [];
    for (let i = 0; i < cases; i++) {
      // Each at least once; then as they are drawn.
      const name = names[i] ?? pick(names);
      const mistake = mistakes[name]!();
      const line = await firstLine(mistake);
      if (line === null || !mistake.names.test(line)) wrong.push(`${name}: ${line}`);
    }
    assert.ok(wrong.length <= cases - wanted, `${wrong.length} are named wrongly:\n${wrong.join('\n')}`);
  });

  test('is named too from what was kept of the exchange, to who administers the mapping', async () => {
    const { token: admin } = await makeUser(server, 'of_checkout', [{ role: 'project_admin', scope: 'payments/checkout' }]);
    const { documents, workspace, path } = good({}, 'payments/checkout');
    await server.apply(documents);
    const answer = await world.tryExchange(tokenOf(workspace.toUpperCase()));
    const correlationId = (answer.body as { correlation_id: string }).correlation_id;
    const { body } = await server.call({ method: 'POST', path: `${scopeApi(server, 'payments/checkout')}/sessions:explain`, body: { correlationId }, token: admin });
    assert.match((body as { cause: string }).cause, ofMapping(path, 'only upper and lower case differ'));
  });
});
