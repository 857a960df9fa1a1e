/** Expressions of selectors where decision tables do not reach: what an application says, governed values, near misses. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { testKinds } from '#test/cases/stand-ins.ts';
import { accountId, buildWorld } from '#test/cases/world.ts';
import type { Selector } from '#kernel/caller.ts';
import type { Target } from '#kernel/decision.ts';
import { noClaims } from '#kernel/matcher.ts';
import type { MatchContext } from '#kernel/matcher.ts';
import type { Entry } from '#kernel/world.ts';
import { evaluate } from './evaluate.ts';
import { governedGives } from './govern.ts';
import { holds } from './holds.ts';
import { compileResources, selectorMiss, selects } from './selector.ts';

const todo: Target = { kind: 'todo', scope: 'payments', identifier: '17', tags: {}, attributes: { owner: 'alice', priority: 4 } };
const alice: MatchContext = {
  claim: () => undefined,
  principal: (name) => new Map<string, unknown>([['type', 'user'], ['identifier', 'alice'], ['email', 'alice@example.com'], ['tags', { team: 'blue' }]]).get(name),
};
const session: MatchContext = { claim: (pointer) => (pointer === '' ? { team: 'blue' } : undefined), principal: (name) => (name === 'type' ? 'workload' : undefined) };

function matches(condition: string, target: Target, context: MatchContext): boolean {
  return selects(compileResources([{ type: 'todo', condition }]), target, context);
}

describe('what an application says', () => {
  const said = (principal: object, action: object = {}): Target => ({ ...todo, said: { principal: { ...principal }, action: { ...action } } });
  const rows: [says: string, condition: string, target: Target, context: MatchContext, matches: boolean][] = [
    ['the act has properties', 'action.soft == true', said({}, { soft: true }), alice, true],
    ['an act without them', 'action.soft == true', said({}), alice, false],
    ['nothing said at all', 'action.soft == true', todo, alice, false],
    ['more of who asks', 'principal.department.exists(d, d == "ops")', said({ department: ['ops'] }), alice, true],
    ['what the account knows wins', 'principal.email == "root@example.com"', said({ email: 'root@example.com' }), alice, false],
    ['what it does not know is said by the application', 'principal.email == "a@example.com"', said({ email: 'a@example.com' }), session, true],
    ['tags that are known are not said', 'principal.tags.team == "red"', said({ tags: { team: 'red' } }), alice, false],
    ['claims are a session\'s alone', 'principal.claims.team == "blue"', said({ claims: { team: 'blue' } }), alice, false],
    ['and a session\'s own win', 'principal.claims.team == "blue"', said({ claims: { team: 'red' } }), session, true],
    ['a `__proto__` that is said is a field like others', 'principal.admin == true', { ...todo, said: { principal: JSON.parse('{"__proto__":{"admin":true}}') as Record<string, unknown>, action: {} } }, alice, false],
    ['more than 200 entries are not looked at', '"a" in action.l', said({}, { l: Array.from({ length: 201 }, () => 'a') }), alice, false],
    ['who is not known meets nothing', 'principal.identifier != "mallory"', todo, noClaims, false],
  ];
  for (const [says, condition, target, context, expected] of rows) test(says, () => assert.equal(matches(condition, target, context), expected));
});

describe('a near miss', () => {
  test('names the expression', () => {
    const resources = compileResources([{ type: 'todo', condition: 'resource.attributes.owner ==\n  principal.email' }]);
    assert.deepEqual(selectorMiss(resources, todo, alice), { code: 'condition_not_met', progress: 2, condition: 'resource.attributes.owner == principal.email' });
  });

  test('shortens a long one', () => {
    const resources = compileResources([{ type: 'todo', condition: `resource.attributes.owner == "${'x'.repeat(200)}"` }]);
    assert.equal(selectorMiss(resources, todo, alice)!.condition!.length, 80);
  });

  test('an expression that is not taken any more selects nothing and stops nothing', () => {
    const selectors: Selector[] = [{ type: 'todo', condition: 'resource.identifier.matches("1")' }, { type: 'todo', identifiers: ['17'] }];
    assert.equal(selects(compileResources(selectors.slice(0, 1)), todo, alice), false);
    assert.equal(selects(compileResources(selectors), todo, alice), true);
  });
});

const documents = (condition: string) => [
  { kind: 'Organization', identifier: 'payments', spec: {} },
  { kind: 'User', identifier: 'alice', spec: { email: 'alice@example.com' } },
  { kind: 'Role', identifier: 'viewer', spec: { level: 'account', permissions: ['secret.view'] } },
  { kind: 'ResourceGroup', scope: 'payments', identifier: 'some', spec: { resources: [{ type: 'secret', condition }] } },
  { kind: 'RoleBinding', scope: 'payments', identifier: 'view', spec: { principal: { type: 'user', id: 'alice' }, role: 'account.viewer', resourceGroup: 'some' } },
];
const built = (condition: string) => buildWorld({ world: documents(condition), sessions: {}, later: { apply: [], delete: [] }, now: '2026-06-01T12:00:00Z' }, testKinds);

describe('a tag that an expression reads is governed', () => {
  const secret = (tags: Record<string, string>): Entry => ({ uid: 's', kind: 'secret', scope: 'payments', identifier: 's', name: null, version: 1, tags, attributes: {}, facts: undefined });
  const ownerOnly = 'resource.tags.owner == principal.email';
  const rows: [says: string, condition: string, before: Record<string, string> | null, after: Record<string, string>, governed: boolean][] = [
    ['a value that meets it', 'resource.tags.env == "dev"', { env: 'prod' }, { env: 'dev' }, true],
    ['a value that does not', 'resource.tags.env == "dev"', { env: 'dev' }, { env: 'prod' }, false],
    ['a value it does not read', 'resource.tags.env == "dev"', { env: 'dev' }, { env: 'dev', note: 'x' }, false],
    ['a new resource with such a value', 'resource.tags.env == "dev"', null, { env: 'dev' }, true],
    ['a new resource with another', 'resource.tags.env == "dev"', null, { env: 'prod' }, false],
    ['a value taken away that stood in the way', '!has(resource.tags.locked)', { locked: 'x' }, {}, true],
    ['a value taken away that did not', '!has(resource.tags.locked)', { note: 'x' }, {}, false],
    ['a new resource is as free as one without values', '!has(resource.tags.locked)', null, { note: 'x' }, false],
    ['another owner', ownerOnly, { owner: 'a' }, { owner: 'b' }, true],
    ['the same owner', ownerOnly, { owner: 'a', note: 'x' }, { owner: 'a', note: 'y' }, false],
    ['no owner', ownerOnly, { owner: 'a' }, {}, false],
    ['an owner for what had none', ownerOnly, {}, { owner: 'a' }, true],
    ['an owner where the rest stands in the way', `${ownerOnly} && resource.tags.env == "dev"`, { env: 'prod', owner: 'a' }, { env: 'prod', owner: 'b' }, false],
    ['any tag, where the tags are read as a whole', 'resource.tags.exists(k, k == principal.identifier)', { a: '1' }, { a: '1', b: '2' }, true],
    ['a key that is named by who asks', 'resource.tags[principal.identifier] == "x"', { a: '1' }, { a: '1', b: 'x' }, true],
    ['nothing, where the expression is about who asks alone', 'principal.email.endsWith("@example.com")', null, { note: 'x' }, false],
    ['nothing, where it held for everybody', 'resource.tags.public == "yes" || resource.tags.owner == principal.email', { public: 'yes', owner: 'a' }, { owner: 'b' }, false],
    ['a value that is too large to meet anything', 'resource.tags.env.startsWith("a")', { env: 'b' }, { env: 'a'.repeat(5_000) }, false],
  ];
  for (const [says, condition, before, after, governed] of rows) {
    test(says, () => {
      const { world } = built(condition);
      const given = governedGives(before === null ? null : secret(before), secret(after), world, testKinds);
      assert.equal(given.length > 0, governed);
      for (const { unless, bound } of given) {
        assert.equal(unless!.permission, 'secret.govern');
        assert.deepEqual(bound.permissions, ['secret.view']);
      }
    });
  }
});

test('what is held through an expression covers nothing, not even the same', () => {
  const { world, now } = built('true');
  const asker = { accountId, principal: { type: 'user', uid: 'user:alice', path: 'alice' }, bounds: 'principal' } as const;
  const target: Target = { kind: 'secret', scope: 'payments', identifier: 'x', tags: {}, attributes: {} };
  assert.equal(evaluate(world, testKinds, asker, { permission: 'secret.view', target }, now).allowed, true);
  const bound = { permissions: ['secret.view'], extent: { scope: 'payments', includeChildScopes: false, resources: [{ type: 'secret', condition: 'true' }] } };
  assert.equal(holds(world, testKinds, asker, bound, now), false);
});
