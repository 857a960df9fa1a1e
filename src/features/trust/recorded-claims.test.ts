import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { readPointer } from '#kernel/matcher.ts';
import { compileCondition } from './claim-condition.ts';
import { claimExpressionOf } from './claim-expression.ts';
import { isPlainSource, judgeCondition, judgeExpression, redact } from './recorded-claims.ts';

const digest = (context: string, value: string): Buffer => createHmac('sha256', 'key').update(context).update('\0').update(value).digest();

describe('redacting', () => {
  test('replaces what is named and nothing else, and leaves what came as it was', () => {
    const claims = Object.freeze({ email: 'a@example.com', who: Object.freeze({ name: 'A', team: 'blue' }) });
    const { claims: kept, redacted } = redact(digest, ['/email', '/who/name', '/absent', '/who/absent/deep'], claims);
    assert.deepEqual(redacted, ['/email', '/who/name']);
    assert.match(String(kept['email']), /^redacted:[\w-]{43}$/);
    assert.equal((kept['who'] as { team: string }).team, 'blue');
    assert.equal(claims.email, 'a@example.com');
  });

  test('reaches a claim called `__proto__`', () => {
    const claims = JSON.parse('{"__proto__":"secret","a":{"__proto__":"secret"}}') as Record<string, unknown>;
    assert.doesNotMatch(JSON.stringify(redact(digest, ['/__proto__', '/a/__proto__'], claims).claims), /secret/);
  });

  test('leaves no value in clear, whatever it is and wherever it lies', () => {
    const path = fc.array(fc.constantFrom('a', 'b', '0', '__proto__', 'x/y'), { minLength: 1, maxLength: 4 });
    fc.assert(fc.property(path, fc.oneof(fc.string({ minLength: 8 }), fc.integer({ min: 10_000_000 })), (parts, value) => {
      let document: unknown = value;
      for (const part of parts.toReversed()) document = Object.fromEntries([[part, document]]);
      const pointer = parts.map((part) => `/${part.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
      const kept = redact(digest, [pointer], document as Record<string, unknown>);
      assert.deepEqual(kept.redacted, [pointer]);
      assert.match(String(readPointer(kept.claims, pointer)), /^redacted:/);
    }), { numRuns: 200 });
  });
});

describe('of redacted claims', () => {
  const recorded = redact(digest, ['/email', '/groups'], { email: 'a@example.com', groups: ['x'], team: 'blue' });
  const rows: [says: string, spec: Parameters<typeof compileCondition>[0], judgement: string][] = [
    ['equality is told', { claim: '/email', equals: 'a@example.com' }, 'holds'],
    ['inequality too', { claim: '/email', equals: 'b@example.com' }, 'does_not_hold'],
    ['one of several', { claim: '/email', oneOf: ['b@example.com', 'a@example.com'] }, 'holds'],
    ['none of several', { claim: '/email', oneOf: ['b@example.com'] }, 'does_not_hold'],
    ['that it is there', { claim: '/email', exists: true }, 'holds'],
    ['a pattern cannot be told', { claim: '/email', glob: '*@example.com' }, 'cannot_tell'],
    ['nor an element of a list', { claim: '/groups', any: { equals: 'x' } }, 'cannot_tell'],
    ['nor what lies within', { claim: '/groups/0', equals: 'x' }, 'cannot_tell'],
    ['what was kept is judged as ever', { claim: '/team', equals: 'blue' }, 'holds'],
  ];
  for (const [says, spec, judgement] of rows) test(says, () => assert.equal(judgeCondition(compileCondition(spec), recorded), judgement));

  test('an expression that names one, or looks at claims otherwise than by name, cannot be told', () => {
    const judged = (source: string): string => judgeExpression(claimExpressionOf(source), recorded);
    assert.equal(judged('claims.team == "blue"'), 'holds');
    assert.equal(judged('claims["team"] == "red"'), 'does_not_hold');
    for (const source of ['claims.email == "x"', 'claims["email"] == "x"', 'claims.exists(name, name == "x")', 'claims["e" + "mail"] == "x"']) assert.equal(judged(source), 'cannot_tell', source);
  });

  test('an expression is plain when every claim it looks at is written out', () => {
    for (const source of ['claims.a == 1', 'claims.a.b > 2 && claims["c-d"] == "x"', "has(claims.x)", 'token.issuer == "claim"']) assert.equal(isPlainSource(source), true, source);
    for (const source of ['claims.all(k, true)', 'size(claims) > 3', '[claims].map(c, c.email) == []', 'claims[token.issuer] == 1']) assert.equal(isPlainSource(source), false, source);
  });
});
