import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { access, holds } from '#features/access/feature.ts';
import type { Asker } from '#features/access/feature.ts';
import { people } from '#features/people/feature.ts';
import type { Manifest as Document } from '#features/resources/schema.ts';
import { tenancy } from '#features/tenancy/feature.ts';
import type { Manifest } from '#kernel/manifest.ts';
import type { AnyKind } from '#kernel/kind.ts';
import { Kinds } from '#kernel/kind.ts';
import type { Entry } from '#kernel/world.ts';
import { accountId, buildWorld, faultsOf, putsOf, uidOf } from '#test/cases/world.ts';
import { issuerKey } from '#test/parties/tokens.ts';
import { z } from 'zod';
import { trust } from './feature.ts';
import { isOwnIssuer } from './issuer-kind.ts';

const pipeline: AnyKind = { name: 'pipeline', levels: ['project'], verbs: ['view', 'edit', 'execute'], spec: z.strictObject({}), version: 1 };
const features: Manifest[] = [tenancy, access(() => kinds), people(() => kinds), trust({ kinds: () => kinds, publicUrl: () => 'https://sallyport.example' })];
const kinds: Kinds = new Kinds(features.flatMap((feature) => feature.nouns ?? []), [...features.flatMap((feature) => feature.kinds ?? []), pipeline]);

const issuer = {
  issuer: 'https://tfe.example.com', preset: 'hcp_terraform', audiences: ['https://sallyport.example'], keys: { discovery: true }, algorithms: ['RS256'],
};
const trusted = (changes: object, identifier = 'hcp'): Document => ({ kind: 'TrustedIssuer', identifier, spec: { ...issuer, ...changes } });
const grant = { role: 'runs', scope: 'payments', resources: [{ type: 'pipeline' }], includeChildScopes: true };
const when = [{ claim: '/terraform_workspace_id', equals: 'ws-123' }];
const mapping = (changes: object, place: { scope?: string } = {}): Document => ({
  kind: 'ClaimMapping', ...place, identifier: 'm', spec: { issuer: place.scope === undefined ? 'hcp' : 'account.hcp', when, grants: [grant], ...changes },
});
const granting = (changes: object, place: { scope?: string } = {}) => mapping({ grants: [{ ...grant, ...changes }] }, place);

const base: Document[] = [
  { kind: 'Organization', identifier: 'payments', spec: {} },
  { kind: 'Organization', identifier: 'platform', spec: {} },
  { kind: 'Project', scope: 'payments', identifier: 'checkout', spec: {} },
  { kind: 'Role', identifier: 'runs', spec: { level: 'org', permissions: ['pipeline.view', 'pipeline.execute'] } },
  { kind: 'ResourceGroup', identifier: 'everywhere', spec: { includeChildScopes: true, all: true } },
  { kind: 'User', identifier: 'root', spec: { email: 'root@example.com' } },
  { kind: 'User', identifier: 'org', spec: { email: 'org@example.com' } },
  { kind: 'User', identifier: 'flat', spec: { email: 'flat@example.com' } },
  { kind: 'RoleBinding', identifier: 'root', spec: { principal: { type: 'user', id: 'root' }, role: 'account_admin', resourceGroup: 'all_resources_including_child_scopes' } },
  { kind: 'RoleBinding', scope: 'payments', identifier: 'org', spec: { principal: { type: 'user', id: 'org' }, role: 'org_admin', resourceGroup: 'all_resources_including_child_scopes' } },
  { kind: 'RoleBinding', identifier: 'flat', spec: { principal: { type: 'user', id: 'flat' }, role: 'account_admin', resourceGroup: 'all_account_level_resources' } },
  trusted({}),
  { kind: 'ClaimMapping', identifier: 'kept', spec: { issuer: 'hcp', when, grants: [{ role: 'runs', scope: { from: '/terraform_project_id' }, resources: [{ type: 'pipeline' }] }] } },
  { kind: 'ClaimMapping', identifier: 'phased', spec: { issuer: 'hcp', when, condition: 'claims.a == "a"', grants: [{ role: 'runs', scope: { from: '/terraform_project_id' }, resources: [{ type: 'pipeline' }] }] } },
];
const build = () => buildWorld({ world: base, sessions: {}, later: { apply: [], delete: [] }, now: '2026-06-01T12:00:00Z' }, kinds);

const rsa = issuerKey('RS256', 'k');

describe('documents of trust that are refused at save, and where', () => {
  const rows: [says: string, document: Document, at: string, text: RegExp][] = [
    ['an issuer string belongs to one issuer', trusted({}, 'twin'), '/spec/issuer', /registered already as `hcp`/],
    ['an issuer with a query', trusted({ issuer: 'https://a.example/?x' }), '/spec/issuer', /without user, query and fragment/],
    ['an issuer with a fragment', trusted({ issuer: 'https://a.example/#x' }), '/spec/issuer', /without user, query and fragment/],
    ['an issuer with user information', trusted({ issuer: 'https://a:b@a.example' }), '/spec/issuer', /without user/],
    ['an issuer that is no URL', trusted({ issuer: 'accounts.example' }), '/spec/issuer', /must be an https URL/],
    ['an issuer with a space', trusted({ issuer: 'https://a.example /x' }), '/spec/issuer', /without spaces/],
    ['an issuer of another scheme', trusted({ issuer: 'file:///etc/passwd' }), '/spec/issuer', /must be an https URL/],
    ['our own issuer', trusted({ issuer: 'https://sallyport.example/accounts/default' }), '/spec/issuer', /acknowledgeOwnIssuer: true/],
    ['a sister account\'s issuer', trusted({ issuer: 'https://sallyport.example/accounts/other' }), '/spec/issuer', /acknowledgeOwnIssuer: true/],
    ['no audience', trusted({ audiences: [] }), '/spec/audiences', /at least one audience/],
    ['an empty audience', trusted({ audiences: [''] }), '/spec/audiences/0', />=1/],
    ['no algorithm', trusted({ algorithms: [] }), '/spec/algorithms', /at least one algorithm/],
    ['the algorithm none', trusted({ algorithms: ['none'] }), '/spec/algorithms/0', /invalid option/],
    ['a shared secret', trusted({ algorithms: ['HS256'] }), '/spec/algorithms/0', /invalid option/],
    ['no keys', trusted({ keys: {} }), '/spec/keys', /exactly one of/],
    ['keys from two places', trusted({ keys: { discovery: true, jwksUri: 'https://a.example/keys' } }), '/spec/keys', /exactly one of/],
    ['discovery that is off', trusted({ keys: { discovery: false } }), '/spec/keys/discovery', /expected true/],
    ['a list of origins without discovery', trusted({ keys: { jwksUri: 'https://a.example/keys', allowedOrigins: ['https://b.example'] } }), '/spec/keys/allowedOrigins', /belongs to/],
    ['an origin with a path', trusted({ keys: { discovery: true, allowedOrigins: ['https://b.example/keys'] } }), '/spec/keys/allowedOrigins/0', /must be an origin/],
    ['an empty key set', trusted({ keys: { jwks: { keys: [] } } }), '/spec/keys/jwks/keys', />=1/],
    ['a key set with a private key', trusted({ keys: { jwks: { keys: [rsa.privateKey.export({ format: 'jwk' })] } } }), '/spec/keys/jwks', /private member/],
    ['a key set nothing of which can be used', trusted({ keys: { jwks: { keys: [{ kty: 'RSA' }] } } }), '/spec/keys/jwks', /no usable key/],
    ['a skew of more than a minute', trusted({ clockSkewSeconds: 61 }), '/spec/clockSkewSeconds', /<=60/],
    ['an unknown preset', trusted({ preset: 'github' }), '/spec/preset', /invalid option/],
    ['an acknowledgement that is none', trusted({ acknowledgeOwnIssuer: false }), '/spec/acknowledgeOwnIssuer', /expected true/],
    ['a preset cannot go while a mapping needs its promise', trusted({ preset: 'generic' }), '/spec/immutableClaims', /`(?:kept|phased)` takes a scope/],
    ['an issuer below the account', { ...trusted({}), scope: 'payments' }, '/scope', /lives at account/],
    ['a mapping without conditions', mapping({ when: [] }), '/spec/when', /match everybody/],
    ['an expression that cannot be read', mapping({ condition: 'claims.a ==' }), '/spec/condition', /^line 1, column 12: unexpected token: EOF/],
    ['an expression about what a token does not have', mapping({ condition: 'true &&\n resource.tags.a == "b"' }), '/spec/condition', /^line 2, column 2: `resource` is no variable here/],
    ['an expression with a word misspelt', mapping({ condition: 'token.isuer == "a"' }), '/spec/condition', /did you mean `issuer`\?$/],
    ['an expression that is no condition', mapping({ condition: 'claims.a' }), '/spec/condition', /must be true or false/],
    ['an expression with a backtracking pattern', mapping({ condition: 'claims.a.matches("(a+)+$")' }), '/spec/condition', /write `re2/],
    ['an expression of more than 2,000 characters', mapping({ condition: `claims.a == "${'a'.repeat(2_000)}"` }), '/spec/condition', /at most 2000 characters/],
    ['an empty expression', mapping({ condition: '' }), '/spec/condition', /unexpected token/],
    ['an expression in place of conditions', mapping({ when: [], condition: 'true' }), '/spec/when', /match everybody/],
    ['an expression in a grant about an attribute the kind does not have', granting({ resources: [{ type: 'pipeline', condition: 'resource.attributes.a == 1' }] }), '/spec/grants/0/resources/0/condition', /`a` is no attribute of `pipeline`/],
    ['an expression over scopes nobody knows, with a role of a lower level', granting({ scope: { from: '/terraform_project_id' }, resources: [{ type: 'pipeline', condition: 'resource.tags.a == "b"' }] }), '/spec/grants/0/scope/from', /or a `map`/],
    ['a condition that says nothing', mapping({ when: [{ claim: '/a' }] }), '/spec/when/0', /exactly one of/],
    ['a condition that says two things', mapping({ when: [{ claim: '/a', equals: 'x', glob: 'x*' }] }), '/spec/when/0', /exactly one of/],
    ['a condition that a claim is missing', mapping({ when: [{ claim: '/a', exists: false }] }), '/spec/when/0/exists', /expected true/],
    ['a claim that is no pointer', mapping({ when: [{ claim: 'a', equals: 'x' }] }), '/spec/when/0/claim', /JSON Pointer/],
    ['the whole token as a claim', mapping({ when: [{ claim: '', exists: true }] }), '/spec/when/0/claim', /JSON Pointer/],
    ['a pattern of characters', mapping({ when: [{ claim: '/a', matches: '.*' }] }), '/spec/when/0/matches', /unknown field/],
    ['an issuer that does not exist', mapping({ issuer: 'nobody' }), '/spec/issuer', /there is no TrustedIssuer/],
    ['a bare issuer from an org', mapping({ issuer: 'hcp' }, { scope: 'payments' }), '/spec/issuer', /looked in `payments`/],
    ['a role that does not exist', granting({ role: 'nothing' }), '/spec/grants/0/role', /there is no Role/],
    ['a scope that does not exist', granting({ scope: 'nowhere' }), '/spec/grants/0/scope', /does not exist/],
    ['a scope in the map that does not exist', granting({ scope: { from: '/p', map: { a: 'nowhere' } } }), '/spec/grants/0/scope/map/a', /does not exist/],
    ['no scope', mapping({ grants: [{ role: 'runs', resources: [] }] }), '/spec/grants/0/scope', /expected string, received undefined/],
    ['a scope beside the mapping\'s', granting({ role: 'account.runs', scope: 'platform' }, { scope: 'payments' }), '/spec/grants/0/scope', /at or below/],
    ['a scope elsewhere that is not there, in the same words', granting({ role: 'account.runs', scope: 'nowhere' }, { scope: 'payments' }), '/spec/grants/0/scope', /^`nowhere` does not lie at or below `payments`/],
    ['a scope in the map elsewhere that is not there, in the same words', granting({ role: 'account.runs', scope: { from: '/p', map: { a: 'nowhere' } } }, { scope: 'payments' }), '/spec/grants/0/scope/map/a', /^`nowhere` does not lie at or below `payments`/],
    ['a scope above the mapping\'s', granting({ role: 'account.runs', scope: '/' }, { scope: 'payments' }), '/spec/grants/0/scope', /at or below/],
    ['a scope in the map above the mapping\'s', granting({ role: 'account.runs', scope: { from: '/p', map: { a: '/' } } }, { scope: 'payments' }), '/spec/grants/0/scope/map/a', /at or below/],
    ['a role above its level', granting({ scope: '/' }), '/spec/grants/0/scope', /granted at the level `org` or below, not at `account`/],
    ['a role above its level in the map', granting({ scope: { from: '/p', map: { a: 'payments', b: '/' } } }), '/spec/grants/0/scope/map/b', /at the level `org` or below/],
    ['a built-in role above its level', granting({ role: 'project_admin' }), '/spec/grants/0/scope', /at the level `project` or below/],
    ['a built-in group of another level', mapping({ grants: [{ role: 'runs', scope: 'payments', resourceGroup: 'all_project_level_resources' }] }), '/spec/grants/0/scope', /selects only at the level `project`/],
    ['resources and a group', granting({ resourceGroup: 'everywhere' }), '/spec/grants/0/resources', /not both/],
    ['neither resources nor a group', mapping({ grants: [{ role: 'runs', scope: 'payments' }] }), '/spec/grants/0/resources', /is needed/],
    ['child scopes of a group', mapping({ grants: [{ role: 'runs', scope: 'payments', resourceGroup: 'everywhere', includeChildScopes: true }] }), '/spec/grants/0/includeChildScopes', /belongs to `resources`/],
    ['an unknown kind', granting({ resources: [{ type: 'pipelin' }] }), '/spec/grants/0/resources/0/type', /is no kind/],
    ['a scope from a mutable claim', granting({ scope: { from: '/terraform_project_name' } }), '/spec/grants/0/scope/from', /does not promise .* immutable/],
    ['`sub` of Terraform is made of names', granting({ scope: { from: '/sub' } }), '/spec/grants/0/scope/from', /immutable/],
    ['accepting a mutable claim without a reason', granting({ scope: { from: '/sub', acceptMutable: true } }), '/spec/grants/0/scope/reason', /belong together/],
    ['a reason for nothing', granting({ scope: { from: '/terraform_project_id', reason: 'why not' } }), '/spec/grants/0/scope/reason', /belong together/],
    ['a map key that would go missing', granting({ scope: { from: '/p', map: JSON.parse('{"__proto__":"payments"}') } }), '/spec/grants/0/scope/map', /cannot be a value/],
    ['conditions over scopes nobody knows, with a role of a lower level', granting({ scope: { from: '/terraform_project_id' }, resources: [{ type: 'pipeline', where: { 'tags.a': { equals: 'b' } } }] }), '/spec/grants/0/scope/from', /or a `map`/],
    ['a group over scopes nobody knows, with a role of a lower level', mapping({ grants: [{ role: 'runs', scope: { from: '/terraform_project_id' }, resourceGroup: 'everywhere' }] }), '/spec/grants/0/scope/from', /or a `map`/],
    ['a range beside the mapping\'s scope', granting({ role: 'account.runs', scope: { from: '/terraform_project_id', within: 'platform' } }, { scope: 'payments' }), '/spec/grants/0/scope/within', /at or below/],
    ['a range that is not there', granting({ scope: { from: '/terraform_project_id', within: 'nowhere' } }), '/spec/grants/0/scope/within', /does not exist/],
    ['a range beside a map', granting({ scope: { from: '/p', map: {}, within: 'payments' } }), '/spec/grants/0/scope/within', /belongs to a scope straight from a claim/],
    ['a mutable claim within a range', granting({ scope: { from: '/terraform_project_name', within: 'payments' } }), '/spec/grants/0/scope/from', /does not promise .* immutable/],
    ['a session of more than a day', mapping({ session: { ttl: '2d' } }), '/spec/session/ttl', /between 1 and 86400/],
    ['a label with an open brace', mapping({ session: { label: 'a{' } }), '/spec/session/label', /claims in braces/],
    ['a template language in a label', mapping({ session: { label: 'a{constructor}' } }), '/spec/session/label', /claims in braces/],
  ];
  const { world } = build();
  for (const [says, document, at, text] of rows) {
    test(says, () => {
      const faults = faultsOf(world, kinds, [document]);
      assert.equal(faults.some((fault) => fault.pointer === at && text.test(fault.message)), true, JSON.stringify(faults));
    });
  }
});

describe('documents of trust that are taken', () => {
  const rows: [says: string, document: Document][] = [
    ['inline keys for an issuer that cannot be reached', trusted({ keys: { jwks: { keys: [rsa.jwk] } } })],
    ['our own issuer, spelled out', trusted({ issuer: 'https://sallyport.example/accounts/default', acknowledgeOwnIssuer: true })],
    ['an identity provider beside us on the same host', trusted({ issuer: 'https://sallyport.example/idp' })],
    ['claims listed as immutable, by name or pointer', trusted({ immutableClaims: ['application_id', '/kubernetes.io/namespace'] })],
    ['a grant from an immutable claim to a built-in role', mapping({ grants: [{ role: 'project_admin', scope: { from: '/terraform_project_id' }, resourceGroup: 'all_project_level_resources' }] })],
    ['a mutable claim with a reason', granting({ scope: { from: '/sub', acceptMutable: true, reason: 'names are never reused here' } })],
    ['conditions within a range of the role\'s level', granting({ scope: { from: '/terraform_project_id', within: 'payments' }, resources: [{ type: 'pipeline', where: { 'tags.a': { equals: 'b' } } }] })],
    ['a map of a mutable claim', granting({ scope: { from: '/sub', map: { x: 'payments/checkout' } } })],
    ['an empty map, which grants nothing', granting({ scope: { from: '/sub', map: {} } })],
    ['no grants, which gives nothing', mapping({ grants: [] })],
    ['a built-in group without prefix, from a project', mapping({ grants: [{ role: 'project_admin', scope: 'payments/checkout', resourceGroup: 'all_project_level_resources' }] }, { scope: 'payments/checkout' })],
  ];
  const { world } = build();
  for (const [says, document] of rows) test(says, () => assert.deepEqual(faultsOf(world, kinds, [document]), []));
});

describe('what saving gives away, and who may', () => {
  const built = build();
  const { world, now } = built;
  const user = (name: string): Asker => ({ accountId, principal: { type: 'user', uid: uidOf('user', name), path: name }, bounds: 'principal' });

  function mayGive(who: string, document: Document): boolean {
    const [put] = putsOf(world, kinds, [document]) as [Entry];
    const before = world.get(put.uid) ?? null;
    const worldAfter = world.overlay([{ put }]);
    const gives = kinds.kinds.get(put.kind)!.gives!({ before, after: put, worldBefore: world, worldAfter });
    return gives.every(({ bound }) => holds(world, kinds, user(who), bound, now));
  }

  const kept = (spec: object): Document => ({ kind: 'ClaimMapping', identifier: 'kept', spec: { issuer: 'hcp', when, grants: [{ role: 'runs', scope: { from: '/terraform_project_id' }, resources: [{ type: 'pipeline' }] }], ...spec } });
  const rows: [says: string, who: string, document: Document, may: boolean][] = [
    ['the account admin grants anything', 'root', granting({ scope: '/', role: 'account_admin' }), true],
    ['an org admin grants within the org', 'org', granting({ role: 'account.runs' }, { scope: 'payments' }), true],
    ['an org admin grants the org\'s role over it', 'org', mapping({ grants: [{ role: 'org_admin', scope: 'payments', resourceGroup: 'all_org_level_resources' }] }, { scope: 'payments' }), true],
    ['an org admin cannot grant beside the org', 'org', granting({ scope: 'platform' }), false],
    ['one target of a map outside is enough', 'org', granting({ scope: { from: '/p', map: { a: 'payments', b: 'platform' } } }), false],
    ['a map within the org is the org admin\'s to give', 'org', granting({ role: 'account.runs', scope: { from: '/p', map: { a: 'payments', b: 'payments/checkout' } } }, { scope: 'payments' }), true],
    ['a claim that may name any scope of the account is not', 'org', granting({ scope: { from: '/terraform_project_id' } }), false],
    ['a claim that may name any scope of the org is', 'org', granting({ role: 'account.runs', scope: { from: '/terraform_project_id' } }, { scope: 'payments' }), true],
    ['a claim that may name any scope of a range within the org is', 'org', granting({ scope: { from: '/terraform_project_id', within: 'payments' } }), true],
    ['a claim that may name any scope of a range beside the org is not', 'org', granting({ scope: { from: '/terraform_project_id', within: 'platform' } }), false],
    ['scopes nobody knows yet are held through child scopes only', 'flat', granting({ scope: { from: '/terraform_project_id' }, role: 'account_admin' }), false],
    ['a built-in group in a scope nobody knows counts as everything', 'org', mapping({ grants: [{ role: 'project_admin', scope: { from: '/terraform_project_id' }, resourceGroup: 'all_project_level_resources' }] }), false],
    ['conditions do not make a grant smaller for its giver', 'org', granting({ scope: 'platform', resources: [{ type: 'pipeline', where: { 'tags.a': { equals: 'b' } } }] }), false],
    ['a permission added to a role that a claim may place anywhere', 'org', { kind: 'Role', identifier: 'runs', spec: { level: 'org', permissions: ['pipeline.view', 'pipeline.execute', 'pipeline.edit'] } }, false],
    ['other people may be let in only by one who holds it', 'org', kept({ when: [{ claim: '/terraform_workspace_id', equals: 'ws-9' }] }), false],
    ['one more condition lets in nobody new', 'org', kept({ when: [...when, { claim: '/terraform_run_phase', equals: 'apply' }] }), true],
    ['one condition fewer lets in others', 'org', kept({ when: [{ claim: '/terraform_project_id', equals: 'prj-A' }] }), false],
    ['an expression where there was none lets in nobody new', 'org', kept({ condition: 'claims.terraform_run_phase == "apply"' }), true],
    ['an expression does not make a grant smaller for its giver', 'org', granting({ scope: 'platform', resources: [{ type: 'pipeline', condition: 'resource.tags.a == "b"' }] }), false],
    ['another expression lets in others', 'org', { ...kept({ condition: 'claims.a == "b"' }), identifier: 'phased' }, false],
    ['no expression where there was one lets in others', 'org', { ...kept({}), identifier: 'phased' }, false],
    ['the same expression lets in nobody new', 'org', { ...kept({ condition: 'claims.a == "a"' }), identifier: 'phased' }, true],
    ['taking grants away gives nothing', 'org', kept({ grants: [] }), true],
    ['a longer session gives more', 'org', kept({ session: { ttl: '1h' } }), false],
    ['a shorter session gives less', 'org', kept({ session: { ttl: '1m' } }), true],
    ['the right to administer gives more', 'org', kept({ mayAdminister: true }), false],
    ['other keys let in other people', 'org', trusted({ keys: { jwks: { keys: [rsa.jwk] } } }), false],
    ['another issuer string lets in other people', 'org', trusted({ issuer: 'https://evil.example' }), false],
    ['another audience lets in other tokens', 'org', trusted({ audiences: ['https://other.example'] }), false],
    ['another algorithm lets in other tokens', 'org', trusted({ algorithms: ['RS256', 'ES256'] }), false],
    ['a longer life lets in other tokens', 'org', trusted({ maxLifetime: '2d' }), false],
    ['a shorter life lets in nobody', 'org', trusted({ maxLifetime: '1h' }), true],
    ['an issuer nothing is mapped from gives nothing', 'org', trusted({ issuer: 'https://new.example' }, 'new'), true],
    ['the account admin changes an issuer', 'root', trusted({ keys: { jwks: { keys: [rsa.jwk] } } }), true],
  ];
  for (const [says, who, document, may] of rows) {
    test(says, () => {
      assert.deepEqual(faultsOf(world, kinds, [document]), []);
      assert.equal(mayGive(who, document), may);
    });
  }
});

describe('our own issuers', () => {
  const rows: [issuer: string, own: boolean][] = [
    ['https://sallyport.example/base/accounts/default', true],
    ['https://SALLYPORT.example:443/base/accounts/x', true],
    ['https://sallyport.example/base/%61ccounts/x', true],
    ['https://sallyport.example/base/x/../accounts/y', true],
    ['https://sallyport.example/accounts/default', false],
    ['https://other.example/base/accounts/default', false],
  ];
  for (const [issuerUrl, own] of rows) test(`\`${issuerUrl}\` is ${own ? '' : 'not '}ours`, () => assert.equal(isOwnIssuer(issuerUrl, 'https://sallyport.example/base'), own));
});
