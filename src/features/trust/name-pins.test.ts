import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compileMapping } from './compile-mapping.ts';
import type { NamePin } from './name-pins.ts';
import { namePinsOf, trustsName } from './name-pins.ts';
import { allSamples } from './presets/all-samples.ts';
import { presets } from './presets.ts';
import type { PresetName } from './presets.ts';
import type { ClaimMappingSpec } from './schema.ts';

const grants: ClaimMappingSpec['grants'] = [{ role: 'r', scope: 'payments', resources: [] }];

function pinsOf(preset: PresetName, spec: Partial<ClaimMappingSpec> & Pick<ClaimMappingSpec, 'when'>, claims: Readonly<Record<string, unknown>>): NamePin[] {
  const facts = compileMapping({ scope: '/', identifier: 'm', tags: {}, refs: () => 'uid', spec: { issuer: 'i', grants, ...spec } });
  return namePinsOf({ mapping: { uid: 'm', version: 1, path: 'm', facts }, grants: [] }, presets[preset], claims);
}

const sample = (preset: PresetName, i = 0) => allSamples[preset].tokens[i]!.claims;
const told = (pins: NamePin[]): string[] => pins.map(({ claim, name, idClaim, id }) => `${claim} ${name} -> ${idClaim} ${String(id)}`);

describe('names that a mapping trusts', () => {
  const repository = [{ claim: '/repository', equals: 'acme/shop' }];
  const rows: [says: string, preset: PresetName, spec: Partial<ClaimMappingSpec> & Pick<ClaimMappingSpec, 'when'>, pins: string[]][] = [
    ['a name it compares', 'github_actions', { when: repository }, ['/repository acme/shop -> /repository_id 74']],
    ['a name in a list', 'github_actions', { when: [{ claim: '/repository', oneOf: ['acme/shop', 'acme/x'] }] }, ['/repository acme/shop -> /repository_id 74']],
    ['a name that fits a pattern', 'github_actions', { when: [{ claim: '/repository', glob: 'acme/*' }] }, ['/repository acme/shop -> /repository_id 74']],
    ['a name its expression reads', 'github_actions', { when: [{ claim: '/ref', exists: true }], condition: 'claims["repository"].startsWith("acme/")' }, ['/repository acme/shop -> /repository_id 74']],
    ['`sub` where it is made of a name', 'github_actions', { when: [{ claim: '/sub', glob: '*' }] }, ['/sub repo:acme/shop:ref:refs/heads/main -> /repository_id 74']],
    ['`token.subject` in an expression, which is the same', 'github_actions', { when: [{ claim: '/ref', exists: true }], condition: 'token.subject == "x"' }, ['/sub repo:acme/shop:ref:refs/heads/main -> /repository_id 74']],
    ['a name a scope is taken from', 'hcp_terraform', { when: [{ claim: '/terraform_run_phase', equals: 'apply' }], grants: [{ role: 'r', scope: { from: '/terraform_project_name', map: {} }, resources: [] }] }, ['/terraform_project_name Default Project -> /terraform_project_id prj-9cGk2bqQ7cVwYx1T']],
    ['a name resources are selected by', 'hcp_terraform', { when: [{ claim: '/terraform_run_phase', equals: 'apply' }], grants: [{ role: 'r', scope: 'p', resources: [{ type: 'pipeline', where: { 'tags.ws': { equalsClaim: '/terraform_workspace_name' } } }] }] }, ['/terraform_workspace_name platform -> /terraform_workspace_id ws-mbsd5E3Ktt5Rg2Xm']],
    ['several names', 'gitlab', { when: [{ claim: '/project_path', equals: 'acme/shop' }, { claim: '/user_login', equals: 'ann' }] }, ['/project_path acme/shop -> /project_id 20', '/user_login ann -> /user_id 1']],
    ['no name whose id it states', 'github_actions', { when: [...repository, { claim: '/repository_id', oneOf: ['74', '75'] }] }, []],
    ['a name whose id only has to be there', 'github_actions', { when: [...repository, { claim: '/repository_id', exists: true }] }, ['/repository acme/shop -> /repository_id 74']],
    ['no name that only has to be there', 'github_actions', { when: [{ claim: '/repository', exists: true }] }, []],
    ['no name it does not look at', 'github_actions', { when: [{ claim: '/ref', equals: 'refs/heads/main' }] }, []],
    ['nothing where no name is known', 'generic', { when: [{ claim: '/sub', equals: 'build-agent-7' }] }, []],
  ];
  for (const [says, preset, spec, pins] of rows) test(says, () => assert.deepEqual(told(pinsOf(preset, spec, sample(preset))), pins));

  test('not a `sub` that an organization has made of something else: it is not about one repository', () => {
    assert.deepEqual(pinsOf('github_actions', { when: [{ claim: '/sub', equals: 'repository_owner_id:65' }] }, { ...sample('github_actions'), sub: 'repository_owner_id:65' }), []);
  });

  test('a name whose token has no id is told as that', () => {
    const { repository_id: _id, ...rest } = sample('github_actions') as Record<string, unknown>;
    assert.deepEqual(pinsOf('github_actions', { when: repository }, rest).map(({ id }) => id), [null]);
  });

  test('a name that is no text is none', () => assert.deepEqual(pinsOf('github_actions', { when: [{ claim: '/repository', exists: true }], condition: 'claims.repository != "x"' }, { ...sample('github_actions'), repository: ['acme/shop'] }), []));

  test('are what somebody who accepts another id gives away', () => {
    const spec = (when: ClaimMappingSpec['when']) => ({ issuer: 'i', grants, when });
    assert.equal(trustsName(spec(repository), presets.github_actions, '/repository'), true);
    assert.equal(trustsName(spec(repository), presets.github_actions, '/sub'), false);
    assert.equal(trustsName(spec([...repository, { claim: '/repository_id', equals: '74' }]), presets.github_actions, '/repository'), false);
  });
});

describe('the same name is the same pin', () => {
  const pin = (preset: PresetName, when: ClaimMappingSpec['when'], claims: Readonly<Record<string, unknown>>): string => pinsOf(preset, { when }, claims)[0]!.pin;
  const account = (namespace: string, uid: string) => ({ 'kubernetes.io': { namespace, serviceaccount: { name: 'deployer', uid } } });
  const byName = [{ claim: '/kubernetes.io/serviceaccount/name', equals: 'deployer' }];
  const workspace = [{ claim: '/terraform_workspace_name', equals: 'platform' }];
  const hcp = (changes: object) => ({ ...sample('hcp_terraform'), ...changes });

  test('whatever the id', () => assert.equal(pin('kubernetes', byName, account('a', '1')), pin('kubernetes', byName, account('a', '2'))));
  test('but not in another namespace: accounts of one name are two', () => assert.notEqual(pin('kubernetes', byName, account('a', '1')), pin('kubernetes', byName, account('b', '2'))));
  test('nor in an organization of another name', () => assert.notEqual(pin('hcp_terraform', workspace, hcp({})), pin('hcp_terraform', workspace, hcp({ terraform_organization_name: 'other' }))));
  test('also when the organization was made again under its name', () => assert.equal(pin('hcp_terraform', workspace, hcp({})), pin('hcp_terraform', workspace, hcp({ terraform_organization_id: 'org-new' }))));
  test('but for a tenant the mapping states: a stranger\'s name is another', () => {
    const when = [...workspace, { claim: '/terraform_organization_id', oneOf: ['org-V6mBXyz4Jf1S7aXQ', 'org-two'] }];
    assert.notEqual(pin('hcp_terraform', when, hcp({})), pin('hcp_terraform', when, hcp({ terraform_organization_id: 'org-two' })));
  });
  test('and of another claim it is another', () => {
    const [a, b] = [pin('hcp_terraform', workspace, hcp({})), pin('hcp_terraform', [{ claim: '/terraform_project_name', equals: 'platform' }], hcp({ terraform_project_name: 'platform' }))];
    assert.notEqual(a, b);
  });
});
