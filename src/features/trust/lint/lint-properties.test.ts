import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { compileCondition } from '#features/trust/claim-condition.ts';
import { compileIssuer } from '#features/trust/compile-issuer.ts';
import { presetNames, presets } from '#features/trust/presets.ts';
import type { ConditionSpec } from '#features/trust/schema.ts';
import { readPointer } from '#kernel/matcher.ts';
import { World } from '#kernel/world.ts';
import { runs } from '#test/mode.ts';
import { lintMapping } from './lint-mapping.ts';

const scalar = fc.constantFrom<string | number | boolean>('x', 'y', 'xy', '', 1, 0, true, false);
const matcher = fc.oneof(fc.record({ equals: scalar }), fc.record({ oneOf: fc.array(scalar, { maxLength: 3 }) }), fc.record({ glob: fc.constantFrom('*', 'x*', '?', 'y') }));
const matchers = fc.oneof(matcher, fc.constant({ exists: true as const }), fc.constant({ absent: true as const }), fc.record({ any: matcher }), fc.record({ all: matcher }));
const conditions = (claims: readonly string[]) => fc.array(fc.tuple(fc.constantFrom(...claims), matchers).map(([claim, how]) => ({ claim, ...how }) as ConditionSpec), { minLength: 1, maxLength: 4 });

function codes(preset: (typeof presetNames)[number], when: ConditionSpec[], condition?: string): string[] {
  const issuer = compileIssuer({ spec: { issuer: 'https://issuer.example', preset, audiences: ['a'], keys: { discovery: true }, algorithms: ['RS256'] } });
  const spec = { issuer: 'i', when, grants: [], ...(condition === undefined ? {} : { condition }) };
  return lintMapping({ draft: { scope: '/', identifier: 'm', refs: () => undefined, spec }, issuer, issuerUid: 'i', after: new World('account', 1) }).map(({ code }) => code);
}

describe('whatever a mapping says', () => {
  test('conditions that are said to meet no token meet none', () => {
    const value = fc.oneof(scalar, fc.constant(null), fc.array(scalar, { maxLength: 2 }));
    const claims = fc.record({ a: value, b: value }, { requiredKeys: [] });
    let never = 0;
    fc.assert(fc.property(conditions(['/a', '/b']), fc.array(claims, { minLength: 8, maxLength: 8 }), (when, tokens) => {
      if (!codes('generic', when).includes('lint.never_matches')) return;
      never += 1;
      const compiled = when.map(compileCondition);
      for (const token of tokens) assert.equal(compiled.every(({ claim, holds }) => holds(readPointer(token, claim))), false, JSON.stringify({ when, token }));
    }), { numRuns: runs(1_000, 50_000) });
    assert.ok(never > 20, `only ${never} contradictions were made`);
  });

  test('the linter answers', () => {
    const expressions = fc.constantFrom(undefined, 'claims.a == "x"', 'claims.ref_protected == "true" || token.subject == "x"', 'claims["a/b"].c in ["x"] && has(claims.d)');
    fc.assert(fc.property(fc.constantFrom(...presetNames).chain((preset) => fc.tuple(fc.constant(preset), conditions(['/custom', ...presets[preset].claims.map(({ claim }) => claim)]))), expressions, ([preset, when], condition) => {
      assert.ok(Array.isArray(codes(preset, when, condition)));
    }), { numRuns: runs(500, 20_000) });
  });
});
