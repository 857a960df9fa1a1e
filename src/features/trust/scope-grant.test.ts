import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { GrantSpec } from './schema.ts';
import { compileGrant } from './scope-grant.ts';

const refs = (known: Readonly<Record<string, string>>) => (pointer: string) => known[pointer];
const own = refs({ '/grants/0/role': 'role', '/grants/0/resourceGroup': 'group' });
const pipelines = [{ type: 'pipeline' }];

describe('the scope a grant resolves to', () => {
  const map = { 'prj-A': 'payments', 'prj-B': 'platform/edge', empty: '' };
  const rows: [says: string, at: string, scope: GrantSpec['scope'], claims: Record<string, unknown>, expected: string][] = [
    ['a fixed scope asks no claim', '/', 'payments/checkout', {}, 'payments/checkout'],
    ['the empty text, where a person wrote it, is the account', '/', '', {}, '/'],
    ['a map turns a value into a scope', '/', { from: '/project', map }, { project: 'prj-B' }, 'platform/edge'],
    ['a value the map does not have grants nothing', '/', { from: '/project', map }, { project: 'prj-C' }, 'the map has no such value'],
    ['a map of values has no inherited ones', '/', { from: '/project', map }, { project: 'constructor' }, 'the map has no such value'],
    ['a number is no text, even if it looks like a key', '/', { from: '/project', map: { 7: 'payments' } }, { project: 7 }, 'the map has no such value'],
    ['a list of one is no text', '/', { from: '/project', map }, { project: ['prj-A'] }, 'the map has no such value'],
    ['a missing claim grants nothing, whatever the map has', '/', { from: '/project', map: { undefined: 'payments' } }, {}, 'the claim is missing'],
    ['a null claim grants nothing', '/', { from: '/project', map: { null: 'payments' } }, { project: null }, 'the map has no such value'],
    ['without a map the claim is the scope', '/', { from: '/team' }, { team: 'payments/checkout' }, 'payments/checkout'],
    ['the claim may name the mapping\'s own scope', 'payments', { from: '/team' }, { team: 'payments' }, 'payments'],
    ['a claim cannot name a scope above', 'payments', { from: '/team' }, { team: '/' }, 'the scope does not lie at or below `payments`'],
    ['a claim cannot name a scope beside', 'payments', { from: '/team' }, { team: 'paymentsx' }, 'the scope does not lie at or below `payments`'],
    ['an empty claim is not the account', '/', { from: '/team' }, { team: '' }, 'the claim is no scope path'],
    ['a missing claim is not the account', '/', { from: '/team' }, {}, 'the claim is missing'],
    ['dots lead nowhere', 'payments', { from: '/team' }, { team: 'payments/..' }, 'the claim is no scope path'],
    ['a third part leads nowhere', '/', { from: '/team' }, { team: 'a/b/c' }, 'the claim is no scope path'],
    ['a trailing slash is not forgiven', '/', { from: '/team' }, { team: 'payments/' }, 'the claim is no scope path'],
    ['a wildcard is no scope', '/', { from: '/team' }, { team: '*' }, 'the claim is no scope path'],
    ['white space is not trimmed', '/', { from: '/team' }, { team: ' payments' }, 'the claim is no scope path'],
    ['an object is no scope', '/', { from: '/team' }, { team: { scope: 'payments' } }, 'the claim is no scope path'],
    ['a claim names a scope within the range', '/', { from: '/team', within: 'payments' }, { team: 'payments/checkout' }, 'payments/checkout'],
    ['the range itself is within it', '/', { from: '/team', within: 'payments' }, { team: 'payments' }, 'payments'],
    ['beside the range there is nothing, though the mapping reaches there', '/', { from: '/team', within: 'payments' }, { team: 'platform' }, 'the scope does not lie at or below `payments`'],
    ['above the range there is nothing', '/', { from: '/team', within: 'payments/checkout' }, { team: 'payments' }, 'the scope does not lie at or below `payments/checkout`'],
    ['a name that begins like the range is beside it', '/', { from: '/team', within: 'payments' }, { team: 'payments2' }, 'the scope does not lie at or below `payments`'],
    ['a range beside the mapping is none', 'payments', { from: '/team', within: 'platform' }, { team: 'platform/edge' }, 'the scope does not lie at or below `payments`'],
    ['two scopes are ambiguous', '/', { from: '/team', within: 'payments' }, { team: ['payments/checkout', 'payments/refunds'] }, 'the claim is no scope path'],
    ['claims with dots and slashes are addressed by pointer', '/', { from: '/https:~1~1acme.example~1team' }, { 'https://acme.example/team': 'payments' }, 'payments'],
  ];
  for (const [says, at, scope, claims, expected] of rows) {
    test(says, () => {
      const outcome = compileGrant({ role: 'r', scope, resources: pipelines }, 0, { at, refs: own })!.resolve(claims);
      assert.equal('because' in outcome ? outcome.because : outcome.scope, expected);
    });
  }
});

describe('what a grant may become', () => {
  const targets = (spec: Omit<GrantSpec, 'role'>, at: string, known = own) => compileGrant({ role: 'r', ...spec }, 0, { at, refs: known })!.targets();
  const everything = 'builtin:resource_group:all_resources_including_child_scopes';
  const builtInGroup = refs({ '/grants/0/role': 'role', '/grants/0/resourceGroup': 'builtin:resource_group:all_project_level_resources' });
  const builtInRole = refs({ '/grants/0/role': 'builtin:role:project_admin' });

  test('a map: each of its scopes once', () => {
    const found = targets({ scope: { from: '/p', map: { a: 'x', b: 'y/z', c: 'x' } }, resources: pipelines }, '/');
    assert.deepEqual(found.map((grant) => grant.scope), ['x', 'y/z']);
  });

  test('a claim: a scope of every level below, each with all that is in it', () => {
    const found = targets({ scope: { from: '/p' }, resources: pipelines }, '/');
    assert.deepEqual(found.map((grant) => [grant.scope, grant.includeChildScopes]), [['*', true], ['*/*', true]]);
  });

  test('a claim and a built-in role: the mapping\'s own scope as well', () => {
    assert.deepEqual(targets({ scope: { from: '/p' }, resources: pipelines }, 'payments', builtInRole).map((grant) => grant.scope), ['payments', 'payments/*']);
  });

  test('a claim and a built-in group: everything, since the group follows the scope', () => {
    const found = targets({ scope: { from: '/p' }, resourceGroup: 'g' }, 'payments', builtInGroup);
    assert.deepEqual(found.map((grant) => [grant.scope, grant.resourceGroupUid]), [['payments/*', everything]]);
  });

  test('a claim and a group of one\'s own: the group within the mapping\'s scope', () => {
    assert.deepEqual(targets({ scope: { from: '/p' }, resourceGroup: 'g' }, '/').map((grant) => [grant.scope, grant.resourceGroupUid]), [['/', 'group']]);
  });

  test('a claim and conditions: all that the mapping\'s scope holds', () => {
    const resources = [{ type: 'pipeline', where: { 'tags.app': { equalsClaim: '/app' } } }];
    assert.deepEqual(targets({ scope: { from: '/p' }, resources }, '/').map((grant) => [grant.scope, grant.includeChildScopes]), [['/', true]]);
  });

  test('a claim within a range: scopes of the range and no others', () => {
    assert.deepEqual(targets({ scope: { from: '/p', within: 'payments' }, resources: pipelines }, '/').map((grant) => grant.scope), ['payments/*']);
    assert.deepEqual(targets({ scope: { from: '/p', within: 'payments/checkout' }, resources: pipelines }, '/').map((grant) => grant.scope), ['payments/checkout']);
  });

  test('a claim in a mapping of a project: that project', () => {
    assert.deepEqual(targets({ scope: { from: '/p' }, resources: pipelines }, 'a/b').map((grant) => grant.scope), ['a/b']);
  });

  for (const missing of ['/grants/0/role', '/grants/0/resourceGroup']) {
    test(`a grant whose ${missing} dangles is none`, () => {
      const known = refs(Object.fromEntries(Object.entries({ '/grants/0/role': 'role', '/grants/0/resourceGroup': 'group' }).filter(([name]) => name !== missing)));
      assert.equal(compileGrant({ role: 'r', scope: '/', resourceGroup: 'g' }, 0, { at: '/', refs: known }), null);
    });
  }
});
