import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { runs } from '#test/mode.ts';
import { compileMapping } from './compile-mapping.ts';
import type { IssuerMapping } from './match.ts';
import type { MappingIndex } from './match.ts';
import { indexMappings, matchAll } from './match.ts';
import { nearestMappings } from './nearest-mappings.ts';
import type { ClaimMappingSpec, ConditionSpec } from './schema.ts';

const grants: ClaimMappingSpec['grants'] = [{ role: 'r', scope: 'payments', resources: [] }];

function mapping(uid: string, when: readonly ConditionSpec[], spec: Partial<ClaimMappingSpec> = {}): IssuerMapping {
  const refs = (pointer: string) => (/^\/issuer$|role$/.test(pointer) ? `uid${pointer}` : undefined);
  const facts = compileMapping({ scope: '/', identifier: uid, tags: {}, refs, spec: { issuer: 'i', when: [...when], grants, ...spec } });
  return { uid, version: 1, path: uid, facts };
}

const explainAll = ({ all }: MappingIndex, claims: Record<string, unknown>) => nearestMappings(all, { claims, recorded: null, limit: Infinity });
const matches = (when: readonly ConditionSpec[], claims: Record<string, unknown>) => matchAll(indexMappings([mapping('m', when)]), claims).length === 1;

describe('a condition on a claim', () => {
  const rows: [says: string, condition: ConditionSpec, claims: Record<string, unknown>, matches: boolean][] = [
    ['equals the same text', { claim: '/a', equals: 'x' }, { a: 'x' }, true],
    ['case counts', { claim: '/a', equals: 'x' }, { a: 'X' }, false],
    ['text and number differ', { claim: '/a', equals: '1' }, { a: 1 }, false],
    ['a number equals a number', { claim: '/a', equals: 1 }, { a: 1 }, true],
    ['1.9 is not 1', { claim: '/a', equals: 1 }, { a: 1.9 }, false],
    ['true is not the text true', { claim: '/a', equals: true }, { a: 'true' }, false],
    ['zero is not false', { claim: '/a', equals: false }, { a: 0 }, false],
    ['a list of one does not equal its item', { claim: '/a', equals: 'x' }, { a: ['x'] }, false],
    ['an item of a list is addressed', { claim: '/a/0', equals: 'x' }, { a: ['x'] }, true],
    ['a missing claim equals nothing', { claim: '/a', equals: 'undefined' }, {}, false],
    ['null equals nothing', { claim: '/a', equals: 'null' }, { a: null }, false],
    ['an empty text equals an empty text', { claim: '/a', equals: '' }, { a: '' }, true],
    ['one of several', { claim: '/a', oneOf: ['x', 'y'] }, { a: 'y' }, true],
    ['none of several', { claim: '/a', oneOf: ['x', 'y'] }, { a: 'z' }, false],
    ['an empty list selects nothing', { claim: '/a', oneOf: [] }, { a: 'x' }, false],
    ['a missing claim is one of nothing', { claim: '/a', oneOf: ['x'] }, {}, false],
    ['a star is any run of characters, slashes too', { claim: '/a', glob: 'refs/heads/*' }, { a: 'refs/heads/feature/x' }, true],
    ['a glob is anchored at both ends', { claim: '/a', glob: 'main' }, { a: 'not-main' }, false],
    ['a star alone does not match a missing claim', { claim: '/a', glob: '*' }, {}, false],
    ['a glob does not match a number', { claim: '/a', glob: '*' }, { a: 7 }, false],
    ['braces, negation and alternation are plain characters', { claim: '/a', glob: '!(a|b){c,d}' }, { a: 'x' }, false],
    ['a claim exists', { claim: '/a', exists: true }, { a: false }, true],
    ['null does not exist', { claim: '/a', exists: true }, { a: null }, false],
    ['a claim below a claim', { claim: '/kubernetes.io/serviceaccount/name', equals: 'ci' }, { 'kubernetes.io': { serviceaccount: { name: 'ci' } } }, true],
    ['a claim with slashes in its name', { claim: '/oidc.circleci.com~1project-id', equals: 'p' }, { 'oidc.circleci.com/project-id': 'p' }, true],
    ['an inherited property is no claim', { claim: '/constructor', exists: true }, {}, false],
    ['`__proto__` is a claim like any other', { claim: '/__proto__/admin', equals: true }, JSON.parse('{"__proto__":{"admin":true}}') as Record<string, unknown>, true],
    ['and nothing inherits from it', { claim: '/admin', equals: true }, JSON.parse('{"__proto__":{"admin":true}}') as Record<string, unknown>, false],
  ];
  for (const [says, condition, claims, expected] of rows) test(says, () => assert.equal(matches([condition], claims), expected));

  test('all conditions must hold', () => {
    const when = [{ claim: '/a', equals: 'x' }, { claim: '/b', equals: 'y' }];
    assert.equal(matches(when, { a: 'x', b: 'y' }), true);
    assert.equal(matches(when, { a: 'x' }), false);
  });

  test('a mapping without conditions matches nobody, should one ever be stored', () => assert.equal(matches([], { a: 'x' }), false));
});

describe('a condition in CEL', () => {
  const when = [{ claim: '/a', equals: 'x' }];
  const rows: [says: string, condition: string, claims: Record<string, unknown>, because: RegExp | null][] = [
    ['holds', 'claims.terraform_run_phase == "apply"', { a: 'x', terraform_run_phase: 'apply' }, null],
    ['does not hold', 'claims.terraform_run_phase == "apply"', { a: 'x', terraform_run_phase: 'plan' }, /it is false/],
    ['a missing claim meets nothing, a negation neither', 'claims.phase != "plan"', { a: 'x' }, /missing or of another type/],
    ['a number of a token is a number', 'claims.run_number == 5 && claims.run_number > 4', { a: 'x', run_number: 5 }, null],
    ['one claim decides about another', 'claims.ref == "refs/heads/main" || claims.actor in claims.admins', { a: 'x', ref: 'refs/heads/x', actor: 'ann', admins: ['ann'] }, null],
    ['the issuer, the subject and the audience have names', 'token.issuer == "https://i" && token.subject.startsWith("repo:") && "aud" in token.audience', { a: 'x', iss: 'https://i', sub: 'repo:y', aud: 'aud' }, null],
    ['several audiences', '"b" in token.audience && size(token.audience) == 2', { a: 'x', aud: ['a', 'b'] }, null],
    ['more groups than are looked at', '"g" in claims.groups', { a: 'x', groups: Array.from({ length: 201 }, () => 'g') }, /too large/],
    ['more work than is done', 'claims.l.all(i, i.contains(claims.part))', { a: 'x', l: Array.from({ length: 200 }, () => 'a'.repeat(4_000)), part: 'a'.repeat(2_000) }, /too much work/],
  ];
  for (const [says, condition, claims, because] of rows) {
    test(says, () => {
      const index = indexMappings([mapping('m', when, { condition })]);
      assert.equal(matchAll(index, claims).length, because === null ? 1 : 0);
      const [outcome] = explainAll(index, claims);
      assert.deepEqual([outcome!.matched, outcome!.expression!.source], [because === null, condition]);
      if (because === null) assert.equal(outcome!.expression!.because, null);
      else assert.match(outcome!.expression!.because!, because);
    });
  }

  test('it does not stand in for `when`', () => {
    assert.deepEqual(matchAll(indexMappings([mapping('m', when, { condition: 'true' })]), { a: 'y' }), []);
    assert.deepEqual(matchAll(indexMappings([mapping('m', [], { condition: 'true' })]), { a: 'x' }), []);
  });

  test('it is decided anew for sessions, as `when` is', () => {
    const { facts } = mapping('m', when, { condition: 'claims.b == "y"' });
    assert.equal(facts.grantsFor({ a: 'x', b: 'y' }).length, 1);
    assert.equal(facts.grantsFor({ a: 'x', b: 'z' }).length, 0);
  });

  test('one that is not taken any more matches nobody', () => assert.deepEqual(matchAll(indexMappings([mapping('m', when, { condition: 'claims.b.matches("a") || true' })]), { a: 'x' }), []));

  test('the nearest mapping comes first, an unmet expression counted', () => {
    const index = indexMappings([mapping('a', when, { condition: 'claims.b == "y"' }), mapping('b', [...when, { claim: '/b', equals: 'y' }, { claim: '/c', equals: 'y' }]), mapping('c', when, { condition: 'claims.b == "z"' })]);
    assert.deepEqual(explainAll(index, { a: 'x', b: 'z' }).map(({ mapping: { uid } }) => uid), ['c', 'a', 'b']);
  });
});

describe('the mappings of an issuer', () => {
  test('two mappings match one token, each with its own grants', () => {
    const index = indexMappings([mapping('one', [{ claim: '/a', equals: 'x' }]), mapping('two', [{ claim: '/b', exists: true }]), mapping('three', [{ claim: '/a', equals: 'y' }])]);
    assert.deepEqual(matchAll(index, { a: 'x', b: 1 }).map((match) => match.mapping.uid), ['one', 'two']);
  });

  test('a mapping whose scope the claims do not name matches nothing', () => {
    const index = indexMappings([mapping('one', [{ claim: '/a', equals: 'x' }], { grants: [{ role: 'r', scope: { from: '/p', map: { q: 'payments' } }, resources: [] }] })]);
    assert.deepEqual(matchAll(index, { a: 'x', p: 'other' }), []);
    assert.deepEqual(explainAll(index, { a: 'x', p: 'other' })[0]!.scopes, [{ grant: 0, claim: '/p', because: 'the map has no such value' }]);
  });

  test('reasons name each condition with what was expected and what came, the nearest mapping first', () => {
    const index = indexMappings([
      mapping('far', [{ claim: '/a', equals: 'y' }, { claim: '/b', equals: 'y' }]),
      mapping('near', [{ claim: '/a', equals: 'x' }, { claim: '/b', oneOf: ['y', 'z'] }]),
    ]);
    const [first, second] = explainAll(index, { a: 'x' });
    assert.equal(first!.mapping.uid, 'near');
    assert.deepEqual(first!.conditions, [
      { claim: '/a', expected: { equals: 'x' }, actual: 'x', holds: true },
      { claim: '/b', expected: { oneOf: ['y', 'z'] }, actual: null, holds: false },
    ]);
    assert.equal(second!.mapping.uid, 'far');
  });

  test('the index finds what looking at every mapping finds', () => {
    const scalar = fc.constantFrom<string | number | boolean>('x', 'y', '1', 1, 0, true, '');
    const claim = fc.constantFrom('/a', '/b', '/c');
    const condition = fc.oneof(
      fc.record({ claim, equals: scalar }),
      fc.record({ claim, oneOf: fc.array(scalar, { maxLength: 3 }) }),
      fc.record({ claim, glob: fc.constantFrom('*', 'x*') }),
      fc.record({ claim, exists: fc.constant(true as const) }),
      fc.record({ claim, absent: fc.constant(true as const) }),
      fc.record({ claim, any: fc.record({ equals: scalar }) }),
    ) as fc.Arbitrary<ConditionSpec>;
    const claims = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.oneof(scalar, fc.constant(null), fc.constant(['x'])));
    fc.assert(
      fc.property(fc.array(fc.array(condition, { minLength: 1, maxLength: 3 }), { maxLength: 6 }), claims, (documents, given) => {
        const all = documents.map((when, i) => mapping(`m${i}`, when));
        const found = matchAll(indexMappings(all), given).map((match) => match.mapping.uid);
        assert.deepEqual(found, all.filter(({ facts }) => facts.grantsFor(given).length > 0).map(({ uid }) => uid));
        assert.deepEqual(new Set(explainAll(indexMappings(all), given).filter(({ matched }) => matched).map(({ mapping: { uid } }) => uid)), new Set(found));
      }),
      { numRuns: runs(500, 20_000) },
    );
  });
});
