import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { readPointer } from '#kernel/matcher.ts';
import { allSamples } from '#features/trust/presets/all-samples.ts';
import type { SampleToken } from '#features/trust/presets/sample.ts';
import type { Preset, PresetName } from '#features/trust/presets.ts';
import { isShared, presetNames, presets, tenantClaimsOf } from '#features/trust/presets.ts';
import { issue, issuerKey } from '#test/parties/tokens.ts';
import type { TestServer } from '#test/server.ts';
import type { TrustWorld } from './trust-world.ts';
import { administers, decoded, startTrustWorld } from './trust-world.ts';

/** One key for all: what an issuer's tokens say is what is tried here. */
const key = issuerKey('RS256', 'golden');
let world: TrustWorld;
let server: TestServer;

before(async () => {
  world = await startTrustWorld();
  ({ server } = world);
  await server.apply(presetNames.flatMap(documentsOf));
});

/** Of each issuer in the tokens of a preset its document, and for every token a mapping that pins what the linter asks for. */
function documentsOf(name: PresetName): Record<string, unknown>[] {
  const { tokens } = allSamples[name];
  const issuers = [...new Set(tokens.map(({ claims }) => claims.iss))];
  return issuers.flatMap((issuer, i) => {
    const own = tokens.filter(({ claims }) => claims.iss === issuer);
    const audiences = [...new Set(own.flatMap(({ claims }) => claims['aud'] as string | string[]))];
    const spec = { issuer, preset: name, audiences, keys: { jwks: { keys: [key.jwk] } }, algorithms: ['RS256'], allowOtherAudiences: false };
    const identifier = `${name}_${i}`;
    const subjects = [...new Map(own.map((token) => [token.subject, token])).values()];
    return [
      { kind: 'TrustedIssuer', identifier, spec },
      ...subjects.map((token, j) => ({ kind: 'ClaimMapping', identifier: `${identifier}_${j}`, spec: { issuer: identifier, when: pinned(presets[name], token), grants: [administers] } })),
    ];
  });
}

function pinned(preset: Preset, { claims }: SampleToken): object[] {
  const tenant = isShared(preset, claims.iss) ? tenantClaimsOf(preset).filter((claim) => readPointer(claims, claim) !== undefined).slice(0, 1) : [];
  return [...new Set([...(preset.subjectClaims ?? ['/sub']), ...tenant])].map((claim) => ({ claim, equals: readPointer(claims, claim) }));
}

function signed(claims: object): string {
  const iat = world.nowSeconds();
  return issue(key, { iat, nbf: iat - 5, exp: iat + 300, ...claims });
}

function without(claims: object, pointer: string): object {
  const copy = structuredClone(claims);
  const path = pointer.slice(1).split('/').map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  const last = path.pop()!;
  delete path.reduce<Record<string, unknown>>((at, name) => at[name] as Record<string, unknown>, copy as Record<string, unknown>)[last];
  return copy;
}

async function causeOf(token: string): Promise<{ code: string; check: string | undefined; because: string }> {
  const answer = await world.tryExchange(token);
  assert.equal(answer.status, 400, JSON.stringify(answer.body));
  const [event] = await world.audit({ requestId: (answer.body as { correlation_id: string }).correlation_id });
  const { code, check, because } = event!.detail;
  return { code, check, because };
}

for (const name of presetNames) {
  describe(`golden tokens of ${name}`, () => {
    for (const { says, claims, subject } of allSamples[name].tokens) {
      test(`${says}: it is let in, and is who it is`, async () => {
        const session = await world.exchange(signed(claims));
        assert.equal(decoded(session).payload['sub'], `${claims.iss}#${subject}`);
        assert.equal(await world.may(session, 'pipeline.edit', 'payments/checkout/recover'), true);
        assert.equal(await world.may(session, 'pipeline.edit', 'payments/refunds/recover'), false);
      });
    }

    const [token] = allSamples[name].tokens as [SampleToken];
    for (const { claim } of presets[name].claims.filter(({ presence }) => presence === 'required')) {
      test(`without \`${claim}\` it is nobody`, async () => {
        const { code, check, because } = await causeOf(signed(without(token.claims, claim)));
        assert.deepEqual([code, ['subject', 'claims'].includes(String(check))], ['trust.refused', true]);
        assert.ok(because.includes(`\`${claim}\``), because);
      });
    }
  });
}

describe('who else has tokens of a shared issuer', () => {
  const of = (name: PresetName, i = 0): SampleToken['claims'] => allSamples[name].tokens[i]!.claims;

  test('a repository of the same name under an owner who took the name of the old one is not let in, in either form of `sub`', async () => {
    for (const i of [0, 1]) {
      const { code } = await causeOf(signed({ ...of('github_actions', i), sub: i === 0 ? 'repo:acme/shop:ref:refs/heads/main' : 'repo:acme@666/shop@667:ref:refs/heads/main', repository_owner_id: '666', repository_id: '667' }));
      assert.equal(code, 'trust.no_mapping');
    }
  });

  test('a merge request of a fork that runs in the target project is the fork\'s, and not let in as the project', async () => {
    await server.apply([{ kind: 'ClaimMapping', identifier: 'target_only', spec: { issuer: 'gitlab_0', when: [{ claim: '/namespace_id', equals: '72' }, { claim: '/project_id', equals: '20' }, { claim: '/ref_protected', equals: 'true' }], grants: [{ ...administers, scope: 'payments/refunds' }] } }]);
    const fork = await world.exchange(signed(of('gitlab', 2)));
    assert.equal(await world.may(fork, 'pipeline.edit', 'payments/refunds/recover'), false);
    assert.equal(decoded(fork).payload['sub'], 'https://gitlab.com#namespace_id=666&project_id=667');
    const branch = await world.exchange(signed(of('gitlab', 0)));
    assert.equal(await world.may(branch, 'pipeline.edit', 'payments/refunds/recover'), true);
  });

  test('a forked repository whose workflow runs under its own owner has its own ids, and is not let in', async () => {
    const { code } = await causeOf(signed({ ...of('github_actions'), repository: 'mallory/shop', repository_id: '900', repository_owner: 'mallory', repository_owner_id: '901', sub: 'repo:mallory/shop:ref:refs/heads/main' }));
    assert.equal(code, 'trust.no_mapping');
  });
});

describe('a claim nobody has told of', () => {
  const strange = () => signed({ ...allSamples.hcp_terraform.tokens[0]!.claims, colour: 'green' });
  type Explained = { readonly accepted: boolean; readonly cause: string | null; readonly unknownClaims: string[]; readonly missingClaims: string[] };
  const explain = async (token: string) => (await server.call({ method: 'POST', path: `${server.api}/sessions:explain`, body: { token } })).body as Explained;

  test('costs nobody the entrance, and is counted and shown', async () => {
    const counted = async () => Number(/^sallyport_unknown_claims_total (\d+)$/m.exec(String((await server.call({ method: 'GET', path: '/metrics' })).body))?.[1] ?? 0);
    const before = await counted();
    await world.exchange(strange());
    assert.equal(await counted(), before + 1);
    const { accepted, unknownClaims, missingClaims } = await explain(strange());
    assert.deepEqual({ accepted, unknownClaims, missingClaims }, { accepted: true, unknownClaims: ['/colour'], missingClaims: [] });
    const { claims } = (await server.call({ method: 'GET', path: `${server.api}/trusted-issuers/hcp_terraform_0/status` })).body as { claims: { unknown: unknown[] } };
    assert.deepEqual(claims.unknown, [{ claim: '/colour', tokens: 1 }]);
  });

  test('is not one that is missing: what is always there and is not is shown, what is required is the cause', async () => {
    const { claims } = allSamples.gitlab.tokens[0]!;
    assert.deepEqual((await explain(signed(without(claims, '/runner_id')))).missingClaims, ['/runner_id']);
    const nobody = await explain(signed(without(allSamples.kubernetes.tokens[0]!.claims, '/kubernetes.io/namespace')));
    assert.equal(nobody.accepted, false);
    assert.match(nobody.cause!, /has `\/kubernetes.io\/namespace`, and this one does not/);
  });
});

describe('saving what strangers could use', () => {
  const issuerAt = (issuer: string, preset?: string) => ({ kind: 'TrustedIssuer', identifier: 'open', spec: { issuer, ...(preset === undefined ? {} : { preset }), audiences: ['https://sallyport.example'], keys: { discovery: true }, algorithms: ['RS256'] } });
  const apply = (documents: object[], how = 'apply') => server.call({ method: 'POST', path: `${server.api}/manifests:${how}`, body: { documents } });
  type Fault = { readonly pointer: string; readonly code?: string; readonly message: string; readonly document?: number };

  test('is refused with a code, a place and what to do', async () => {
    const answer = await apply([issuerAt('https://token.actions.githubusercontent.com/acme', 'generic')]);
    assert.equal(answer.status, 400);
    const [fault] = (answer.body as { errors: Fault[] }).errors;
    assert.deepEqual([fault!.code, fault!.pointer, fault!.document], ['lint.shared_issuer_preset', '/spec/preset', 0]);
    assert.match(fault!.message, /say `preset: github_actions`/);
    const empty = await apply([{ kind: 'ClaimMapping', identifier: 'm', spec: { issuer: 'github_actions_0', when: [], grants: [] } }]);
    assert.deepEqual((empty.body as { errors: Fault[] }).errors.map(({ code, pointer }) => [code, pointer]), [['lint.no_condition', '/spec/when']]);
    const unpinned = await apply([{ kind: 'ClaimMapping', identifier: 'm', spec: { issuer: 'github_actions_0', when: [{ claim: '/repository', glob: '*/shop' }], grants: [] } }]);
    assert.deepEqual((unpinned.body as { errors: Fault[] }).errors.map(({ code, pointer }) => [code, pointer]), [['lint.shared_issuer_unpinned', '/spec/when'], ['lint.glob_across_tenants', '/spec/when/0/glob']]);
  });

  const loose = { kind: 'ClaimMapping', identifier: 'loose', spec: { issuer: 'github_actions_0', when: [{ claim: '/repository_owner_id', equals: '65' }, { claim: '/repository', equals: 'acme/shop' }], grants: [administers] } };
  const expected = [['lint.mutable_name', '/spec/when/1'], ['lint.pull_request', '/spec/when']];

  for (const how of ['plan', 'apply']) {
    test(`is warned of by ${how}`, async () => {
      const answer = await apply([issuerAt('https://tfe.example.com', 'hcp_terraform'), loose], how);
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      const { warnings } = answer.body as { warnings: Fault[] };
      assert.deepEqual(warnings.map(({ code, pointer }) => [code, pointer]), expected);
      assert.deepEqual(warnings.map(({ document }) => document), [1, 1]);
    });
  }

  test('is warned of by the single operations, and nothing is said where there is nothing to say', async () => {
    const path = `${server.api}/claim-mappings`;
    const created = await server.call({ method: 'POST', path, body: { identifier: 'single', spec: loose.spec } });
    assert.equal(created.status, 201, JSON.stringify(created.body));
    // The one of before is the same, so this one adds nothing to it.
    assert.deepEqual((created.body as { warnings: Fault[] }).warnings.map(({ code }) => code), ['lint.mutable_name', 'lint.shadowed', 'lint.pull_request']);
    const tight = { ...loose.spec, when: [...loose.spec.when, { claim: '/repository_id', equals: '74' }, { claim: '/event_name', equals: 'push' }], grants: [{ ...administers, scope: 'payments/refunds' }] };
    const updated = await server.call({ method: 'PUT', path: `${path}/single`, body: { spec: tight } });
    assert.deepEqual([updated.status, 'warnings' in (updated.body as object)], [200, false]);
  });

  test('an issuer does not become one its mappings may not be of', async () => {
    await server.apply([
      { ...issuerAt('https://gitlab.example.com', 'gitlab'), identifier: 'moving' },
      { kind: 'ClaimMapping', identifier: 'moved', spec: { issuer: 'moving', when: [{ claim: '/project_id', equals: '20' }], grants: [] } },
    ]);
    const answer = await apply([{ ...issuerAt('https://gitlab.com/', 'gitlab'), identifier: 'moving' }]);
    assert.equal(answer.status, 400);
    const [fault] = (answer.body as { errors: Fault[] }).errors;
    assert.equal(fault!.code, 'lint.shared_issuer_unpinned');
    assert.match(fault!.message, /the claim mapping `moved` would be refused with it/);
  });
});
