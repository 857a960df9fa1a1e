import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readPointer } from '#kernel/matcher.ts';
import { accountFor, requiredMissing } from './account-for-claims.ts';
import { allSamples } from './presets/all-samples.ts';
import type { ClaimType, Preset } from './presets.ts';
import { addressIn, immutableClaimsOf, isShared, knownClaim, presetAt, presetNames, presets, tenantClaimsOf } from './presets.ts';
import { subjectOf } from './workload.ts';

type Claims = Record<string, unknown>;

/** What an own value of such a type looks like in JSON. */
const fits: Readonly<Record<ClaimType, (value: unknown) => boolean>> = {
  text: (value) => typeof value === 'string',
  number: (value) => typeof value === 'number',
  boolean: (value) => typeof value === 'boolean',
  list: (value) => Array.isArray(value),
  object: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  any: () => true,
};

/** Subjects of issuers that have no id for who it is: what stands in its place is said beside the preset. */
const madeOfNames: Readonly<Record<string, readonly string[]>> = { aws_outbound: ['/sub'], octopus: ['/sub'], spacelift: ['/callerType', '/callerId'] };

function without(claims: Readonly<Claims>, pointer: string): Claims {
  const copy = structuredClone(claims) as Claims;
  const path = pointer.slice(1).split('/').map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  const last = path.pop()!;
  const parent = path.reduce<Claims>((at, name) => at[name] as Claims, copy);
  delete parent[last];
  return copy;
}

for (const name of presetNames) {
  const preset: Preset = presets[name];
  const { tokens, from } = allSamples[name];

  describe(`the preset ${name}`, () => {
    test('says where its tokens are documented, and has some', () => assert.ok(from.length > 5 && tokens.length > 0));

    test('knows each claim once, and every one of them is in a token', () => {
      const claims = preset.claims.map(({ claim }) => claim);
      assert.equal(new Set(claims).size, claims.length);
      const unseen = claims.filter((claim) => tokens.every((token) => readPointer(token.claims, claim) === undefined));
      assert.deepEqual(unseen, []);
    });

    test('knows every claim of its tokens, of the type and among the values it says', () => {
      for (const { claims } of tokens) {
        assert.deepEqual(name === 'generic' ? [] : accountFor(preset, claims).unknown, []);
        for (const { claim, type, values } of preset.claims) {
          const value = readPointer(claims, claim);
          if (value !== undefined) assert.ok(fits[type](value) && (values === undefined || values.includes(value as string)), `${claim} is ${JSON.stringify(value)}`);
        }
      }
    });

    test('has what is always there in every token', () => {
      for (const { claims } of tokens) assert.deepEqual(accountFor(preset, claims).missing, []);
    });

    test('makes the subject of immutable claims that must be there, and this very text', () => {
      const immutable = new Set(immutableClaimsOf(preset));
      for (const claim of preset.subjectClaims ?? ['/sub']) {
        assert.ok(immutable.has(claim) || madeOfNames[name]?.includes(claim), claim);
        assert.equal(knownClaim(preset, claim)?.presence, 'required', claim);
      }
      for (const { says, claims, subject } of tokens) assert.equal(subjectOf({ subjectClaims: preset.subjectClaims }, claims), subject, says);
    });

    test('misses each claim it requires', () => {
      for (const { claim, presence } of preset.claims) {
        const token = tokens.find(({ claims }) => readPointer(claims, claim) !== undefined)!;
        const account = accountFor(preset, without(token.claims, claim)).missing;
        assert.deepEqual(account, presence === 'sometimes' ? [] : [{ claim, required: presence === 'required' }]);
        assert.deepEqual(requiredMissing(preset, without(token.claims, claim)), presence === 'required' ? [claim] : []);
      }
    });

    test('speaks only of claims it knows, and of ids that never change hands', () => {
      const immutable = new Set(immutableClaimsOf(preset));
      assert.deepEqual(preset.claims.flatMap(({ names }) => (names === undefined || immutable.has(names) ? [] : [names])), []);
      for (const { namedIn = [] } of preset.claims) for (const claim of namedIn) assert.notEqual(knownClaim(preset, claim), undefined, claim);
      for (const claim of tenantClaimsOf(preset)) assert.ok(immutable.has(claim), claim);
      for (const { claim, orCompared = [] } of preset.contexts) for (const one of [claim, ...orCompared]) assert.notEqual(knownClaim(preset, one), undefined, one);
    });

    test('names the tenant where strangers share the issuer', () => {
      assert.ok(!preset.issuers.some(({ shared }) => shared) || tenantClaimsOf(preset).some((claim) => knownClaim(preset, claim)!.presence === 'required'));
    });

    test('finds itself by the address of its tokens, where that is fixed', () => {
      for (const { claims } of tokens) assert.equal(addressIn(preset, claims.iss) !== null, preset.issuers.length > 0, claims.iss);
    });
  });
}

describe('an issuer at a known address', () => {
  const rows: [issuer: string, preset: string | null, shared: boolean][] = [
    ['https://app.terraform.io', 'hcp_terraform', true],
    ['https://APP.terraform.io:443/', 'hcp_terraform', true],
    ['https://tfe.example.com', null, false],
    ['https://app.terraform.io.evil.example', null, false],
    ['https://token.actions.githubusercontent.com', 'github_actions', true],
    ['https://token.actions.githubusercontent.com/acme', 'github_actions', true],
    ['https://github.example.com/_services/token', 'github_actions', false],
    ['https://gitlab.com', 'gitlab', true],
    ['https://gitlab.example.com', null, false],
    ['https://oidc.circleci.com', 'circleci', true],
    ['https://oidc.circleci.com/org/4d7a', 'circleci', false],
    ['https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc', 'bitbucket', true],
    ['https://accounts.google.com', 'gcp_service_account', true],
    ['https://a1.tokens.sts.global.api.aws', 'aws_outbound', false],
  ];
  for (const [issuer, name, shared] of rows) {
    test(`\`${issuer}\` is ${name ?? 'nobody\'s that is known'}${shared ? ' and shared' : ''}`, () => {
      assert.deepEqual(presetAt(issuer), name === null ? null : { name, shared });
      assert.equal(isShared(presets.generic, issuer), shared);
    });
  }

  test('counts as shared anywhere when nobody can host it for himself', () => {
    assert.equal(isShared(presets.buildkite, 'https://proxy.example'), true);
    assert.equal(isShared(presets.hcp_terraform, 'https://tfe.example.com'), false);
  });
});

describe('what is in a token and nobody has told of', () => {
  const account = (claims: Claims, stated: string[] = []) => accountFor(presets.kubernetes, claims, stated).unknown;

  test('is shown by pointer, inside a known object too', () => {
    const claims = { 'a/b': 1, tenant: 'x', 'kubernetes.io': { namespace: 'n', zone: 'z', pod: { name: 'p', ip: '::1' } } };
    assert.deepEqual(account(claims), ['/a~1b', '/tenant', '/kubernetes.io/zone', '/kubernetes.io/pod/ip']);
  });
  test('is not gone into when nothing in it is known', () => assert.deepEqual(account({ deep: { er: { still: 1 } } }), ['/deep']));
  test('is known when the issuer\'s document lists it', () => assert.deepEqual(account({ tenant: 'x' }, ['/tenant']), []));
  test('a known object that comes as something else is unknown', () => assert.deepEqual(account({ 'kubernetes.io': 'all of it' }), ['/kubernetes.io']));
  test('a thousand names are shown as fifty, none longer than two hundred characters', () => {
    const flood = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`${'x'.repeat(300)}${i}`, 1]));
    const shown = account(flood);
    assert.equal(shown.length, 50);
    assert.ok(shown.every((claim) => claim.length <= 201));
  });
  test('is not one of a family whose names customers choose', () => assert.deepEqual(accountFor(presets.github_actions, { repo_property_team: 'a', repo_propertyx: 'b' }).unknown, ['/repo_propertyx']));
  test('is nothing with a preset that knows no claims', () => assert.deepEqual(accountFor(presets.generic, { sub: 'x', anything: 1 }).unknown, []));
});
