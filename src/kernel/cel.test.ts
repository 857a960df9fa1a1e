import { describe, test } from 'node:test';
import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict';
import type { Cel, CelFault, CelOutcome, CelVariables } from '#kernel/cel.ts';
import { anything, celLimits, compileCel, isCompiled, maxSteps } from '#kernel/cel.ts';

const variables: CelVariables = {
  claims: 'map<string, dyn>',
  resource: { kind: 'string', tags: 'map<string, string>', attributes: 'map<string, dyn>' },
  principal: { email: 'string', tags: 'map<string, string>' },
};

function compiled(source: string): Cel {
  const result = compileCel(source, variables);
  ok(isCompiled(result), `${source}: ${JSON.stringify(result)}`);
  return result;
}

function faults(source: string): readonly CelFault[] {
  const result = compileCel(source, variables);
  ok(!isCompiled(result), `${source} was taken`);
  return result.faults;
}

const claims = {
  sub: 'repo:acme/checkout', ref: 'refs/tags/v1.2', scope: 'read deploy', run_number: 5, ratio: 0.5, big: 9_007_199_254_740_992, verified: true,
  groups: ['dev', 'ops'], owners: [{ name: 'ann', level: 3 }, { name: 'bob' }], nested: { a: { b: 'deep' } }, empty: '', none: null, listed: ['dev', null],
};
const world = { claims, resource: { kind: 'pipeline', tags: { env: 'dev', team: 'ops' }, attributes: { priority: 4, size: undefined } }, principal: { email: 'ann@example.com', tags: { team: 'ops' } } };

const answers: readonly (readonly [string, string, CelOutcome])[] = [
  ['text is compared exactly', 'resource.tags.env == "dev"', 'holds'],
  ['case makes a difference', 'resource.tags.env == "Dev"', 'does_not_hold'],
  ['a field can be written in brackets', 'resource.tags["env"] == "dev"', 'holds'],
  ['a field can be named by a value', 'resource.tags[claims.nested.a.b] == "dev" || resource.tags["team"] == "ops"', 'holds'],
  ['a number of JSON equals a whole number', 'claims.run_number == 5', 'holds'],
  ['and the same number with a point', 'claims.run_number == 5.0', 'holds'],
  ['and is not the text of it', 'claims.run_number == "5"', 'does_not_hold'],
  ['numbers have an order, whole or not', 'resource.attributes.priority > 3 && claims.ratio < 1 && claims.run_number >= 4.5', 'holds'],
  ['one calculates with numbers of JSON and of the source', 'claims.run_number * 2 + 1 == 11 && claims.run_number % 2 == 1 && claims.run_number / 2 == 2.5', 'holds'],
  ['numbers of the source stay whole', '7 / 2 == 3 && -7 % 2 == -1', 'holds'],
  ['whole numbers and others go together', '1 == 1.0 && 1 + 0.5 == 1.5 && 3.0 % 2 == 1 && claims.ratio * 2 == 1', 'holds'],
  ['numbers are in lists of numbers', 'claims.run_number in [4, 5]', 'holds'],
  ['a whole number beyond 2^53 is not its neighbour', 'claims.big == 9007199254740993', 'does_not_hold'],
  ['a list holds an item', '"dev" in claims.groups && !("sre" in claims.groups)', 'holds'],
  ['a map holds a name', '"env" in resource.tags && !("size" in resource.attributes)', 'holds'],
  ['an item is found by a condition', 'claims.groups.exists(g, g == principal.tags.team)', 'holds'],
  ['a condition on all', 'claims.groups.all(g, size(g) == 3)', 'holds'],
  ['on all of none', 'claims.groups.filter(g, g == "x").all(g, false)', 'holds'],
  ['exactly one', 'claims.owners.exists_one(o, o.name == "ann")', 'holds'],
  ['lists are made and counted', 'claims.owners.map(o, o.name) == ["ann", "bob"] && claims.owners.filter(o, has(o.level)).size() == 1', 'holds'],
  ['items are chosen and made in one', 'claims.owners.map(o, has(o.level), o.level) == [3]', 'holds'],
  ['names of a map are gone through', 'resource.tags.all(k, k in ["env", "team"])', 'holds'],
  ['one list after another', 'claims.groups.filter(g, g != "dev").exists(g, g == "ops")', 'holds'],
  ['text is taken apart', '"deploy" in claims.scope.split(" ") && claims.sub.split(":")[1] == "acme/checkout"', 'holds'],
  ['parts of text', 'claims.ref.startsWith("refs/tags/") && principal.email.endsWith("@example.com") && claims.sub.contains("/")', 'holds'],
  ['a pattern takes the whole text', 're2(claims.ref, "refs/tags/v[0-9.]+") && !re2(claims.ref, "tags")', 'holds'],
  ['text becomes a number and back', 'int("42") == 42 && double("0.5") == claims.ratio && string(claims.run_number) == "5"', 'holds'],
  ['one of two', '(claims.verified ? claims.ref : claims.sub) == "refs/tags/v1.2"', 'holds'],
  ['comments are white space', 'true // always\n && claims.verified', 'holds'],
  ['what is missing meets nothing', 'claims.missing == "a"', 'no_value'],
  ['nor its negation', '!(claims.missing == "a") || claims.missing != "a"', 'no_value'],
  ['a null is missing', 'claims.none == claims.none', 'no_value'],
  ['one asks whether something is there', '!has(claims.missing) && !has(claims.none) && has(claims.nested.a.b)', 'holds'],
  ['a field of what is missing is no answer', 'has(claims.missing.a)', 'no_value'],
  ['the other side of || may have the answer', 'claims.missing == "a" || claims.verified', 'holds'],
  ['the other side of && may have it', '!(claims.missing == "a" && !claims.verified)', 'holds'],
  ['a missing item spoils all and exists only without another answer', 'claims.listed.exists(g, g == "dev") && !claims.listed.all(g, g == "ops")', 'holds'],
  ['it spoils exactly one', 'claims.listed.exists_one(g, g == "dev")', 'no_value'],
  ['an index beyond the list', 'claims.groups[2] == "a"', 'no_value'],
  ['a negative index', 'claims.groups[-1] == "ops"', 'no_value'],
  ['half an index', 'claims.groups[claims.ratio] == "dev"', 'no_value'],
  ['division by zero', 'claims.run_number / 0 > 1 || 1 / 0 > 1 || 1.5 / 0.0 > 1.0', 'no_value'],
  ['a remainder by zero', 'claims.run_number % 0 == 0', 'no_value'],
  ['overflow of 64 bits', '9223372036854775807 + 1 > 0', 'no_value'],
  ['overflow of a double', '1e308 * 10.0 > 1.0', 'no_value'],
  ['the empty text is no number', 'int(claims.empty) == 0', 'no_value'],
  ['other ways to write numbers are none', 'int("0x10") == 16 || int(" 5") == 5 || double("0x10") == 16.0', 'no_value'],
  ['text and number have no order', 'claims.sub < claims.run_number', 'no_value'],
  ['a number is no condition', '!claims.run_number', 'no_value'],
];

describe('an expression', () => {
  for (const [name, source, outcome] of answers) {
    test(name, () => {
      strictEqual(compiled(source).explain(world).outcome, outcome, source);
      strictEqual(compiled(source).evaluate(world), outcome === 'holds');
    });
  }
});

const refused: readonly (readonly [string, string, number, RegExp])[] = [
  ['an unknown variable', 'true && resuorce.tags.env == "a"', 9, /no variable/],
  ['an unknown field', 'resource.tag.env == "a"', 10, /`resource` has no `tag`/],
  ['an object that is no value', 'resource == resource', 1, /no value itself; name one of `resource.kind`/],
  ['a field of it named by a value', 'resource[claims.a] == "a"', 1, /no value itself/],
  ['a type as a variable', 'claims.a == int', 13, /no variable/],
  ['a number where text is', 'resource.tags.env == 5', 1, /no such overload: string == int: both sides/],
  ['a number for a method of text', 'claims.ref.startsWith(5)', 23, /takes text/],
  ['a value that is no condition', 'size(claims.ref)', 1, /must be true or false, and this is a int/],
  ['a sum that is no condition', 'claims.a + 1', 1, /must be true or false/],
  ['a value that might be none', 'claims.verified', 1, /compare it with something/],
  ['half an expression', 'claims.a ==', 12, /unexpected token: EOF/],
  ['two of them', 'true false', 6, /unexpected character/],
  ['the empty text', '', 1, /unexpected token/],
  ['a null', 'claims.a == null', 13, /ask with `has/],
  ['a map', '{"a": true}["a"]', 1, /maps are not taken/],
  ['bytes', 'b"a" == claims.a', 1, /bytes are not taken/],
  ['an unsigned number', 'claims.a == 5u', 13, /without `u`/],
  ['a number of more than 64 bits', 'claims.a == 9223372036854775808', 13, /at most 9223372036854775807/],
  ['a function of another language', 'claims.ref.lower() == "a"', 12, /no function here; there are `size`/],
  ['a time', 'timestamp(claims.iat) > timestamp(0)', 1, /no function here/],
  ['the type of a value', 'type(claims.a) == type("")', 1, /no function here/],
  ['a name for a value', 'cel.bind(a, claims.a, a == "x")', 5, /no function here/],
  ['a function with too few arguments', 'claims.a.contains()', 10, /not called like this/],
  ['a function as a method', 'claims.a.int() == 5', 10, /not called like this/],
  ['a variable as the name of an item', 'claims.groups.exists(claims, claims == "a")', 22, /another name/],
  ['a question about an item of a list', 'has(claims.owners[0])', 1, /written with dots/],
  ['matches', 'claims.ref.matches("a+")', 12, /write `re2/],
  ['a pattern that is none', 're2(claims.ref, "(")', 17, /not a pattern of RE2/],
  ['a pattern from outside', 're2(claims.ref, claims.pattern)', 1, /a pattern written out/],
  ['a pattern of 257 characters', `re2(claims.ref, "${'a'.repeat(257)}")`, 17, /at most 256/],
  ['a look ahead, which RE2 does not have', 're2(claims.ref, "(?=a)")', 17, /not a pattern of RE2/],
  ['a quoted part, which hides what is counted', String.raw`re2(claims.ref, "\\Qa\\E")`, 17, /is not taken/],
];

describe('refused when it is saved', () => {
  for (const [name, source, column, message] of refused) {
    test(name, () => {
      const [first] = faults(source);
      match(first!.message, message);
      deepStrictEqual([first!.line, first!.column], [1, column], first!.message);
    });
  }

  test('a fault is located by line and column', () => {
    const [first] = faults('true &&\n  resuorce.tags.env == "a"');
    deepStrictEqual([first!.line, first!.column, first!.suggestion], [2, 3, 'resource']);
  });

  test('several faults are told at once, of the language at most ten', () => {
    strictEqual(faults('a.b == 1 && c.d == 2').length, 2);
    strictEqual(faults(Array.from({ length: 30 }, (_, i) => `a${i} == 1`).join(' && ')).length, 10);
  });
});

const long = (count: number, part: string, by: string) => Array.from({ length: count }, () => part).join(by);

const tooLarge: readonly (readonly [string, string, RegExp])[] = [
  ['more than 2,000 characters', `claims.a == "${'x'.repeat(celLimits.characters)}"`, /at most 2000 characters/],
  ['300 parts', long(100, 'claims.a', ' + ') + ' == 1', /at most 300 parts/],
  ['deep nesting of parentheses', `${'('.repeat(30)}true${')'.repeat(30)}`, /20 levels/],
  ['deep nesting of lists', `claims.a in ${'['.repeat(30)}1${']'.repeat(30)}`, /20 levels/],
  ['deep nesting of fields', `claims${'.a'.repeat(30)} == 1`, /20 levels/],
  ['deep nesting of choices', `${'true ? '.repeat(30)}true${' : true'.repeat(30)}`, /20 levels/],
  ['a list of 101', `claims.a in [${long(101, '1', ',')}]`, /lists of 100/],
  ['nested comprehension', 'claims.groups.exists(a, claims.groups.exists(b, a == b))', /one list inside another/],
  ['nested comprehension of the item', 'claims.owners.all(o, o.groups.map(g, g).size() == 1)', /one list inside another/],
  ['nested comprehension in what is gone through inside', 'claims.a.exists(a, claims.b.filter(b, b).size() == 1)', /one list inside another/],
  ['six patterns', long(6, 're2(claims.ref, "a")', ' || '), /at most 5 patterns/],
  ['a regular expression bomb of counted repeats', 're2(claims.ref, "((a{100}){100}){10}")', /written out/],
  ['a regular expression bomb side by side', `re2(claims.ref, "${long(20, 'a{100}', '')}")`, /written out/],
  ['a regular expression bomb around a class', 're2(claims.ref, "([])}]{90}){9}")', /written out/],
];

describe('an attack when it is saved', () => {
  for (const [name, source, message] of tooLarge) test(name, () => match(faults(source)[0]!.message, message));

  test('the largest that is allowed is allowed', () => {
    compiled(long(100, 'claims.verified', ' && '));
    compiled(`claims.a in [${long(100, '1', ',')}]`);
    compiled(`${'!'.repeat(290)}true`);
  });
});

const items = (count: number, item: unknown) => Array.from({ length: count }, () => item);
const text = 'a'.repeat(4_096);
const deep = (levels: number): unknown => (levels === 0 ? 'x' : [deep(levels - 1)]);

const attacks: readonly (readonly [string, string, Record<string, unknown>, CelOutcome])[] = [
  ['a regular expression bomb is no bomb', 're2(claims.a, "(a+)+")', { a: `${text.slice(0, 2_000)}!` }, 'does_not_hold'],
  ['a regular expression over a long text is too much work', 're2(claims.a, "(.*a){12}")', { a: text }, 'too_long'],
  ['200 long searches are too much work', 'claims.l.exists(x, x.contains(claims.part))', { l: items(200, text), part: `${text.slice(0, 900)}b${text.slice(0, 900)}` }, 'too_long'],
  ['a storm of missing fields is only so long', `claims.l.exists(x, ${long(60, 'x.a', ' || ')})`, { l: items(200, {}) }, 'too_long'],
  ['text multiplied by splitting', 'claims.a.split("").map(x, claims.a.split("")) == claims.l', { a: text, l: [] }, 'too_long'],
  ['lists multiplied by adding', `claims.l.map(x, ${long(60, 'claims.l', ' + ')}) == claims.l`, { l: items(200, 'a') }, 'too_long'],
  ['large values compared again and again', 'claims.l.exists(x, claims.a == claims.b)', { l: items(200, 1), a: items(200, items(10, 'a')), b: [...items(199, items(10, 'a')), items(10, 'b')] }, 'too_long'],
  ['what runs out is not made up for by the other side', 'claims.a.split("").all(x, claims.a.contains(x)) || true', { a: text }, 'too_long'],
  ['more than 200 entries', '"a" in claims.l', { l: ['a', ...items(200, 'b')] }, 'too_large'],
  ['more than 200 entries are not cut, also where the rest would match', 'claims.l.exists(x, x == "a") || true', { l: items(201, 'a') }, 'too_large'],
  ['more than 200 fields', 'claims.exists(k, k == "k1")', Object.fromEntries(items(201, 0).map((_, i) => [`k${i}`, i])), 'too_large'],
  ['a long string', 'claims.a.startsWith("a")', { a: `${text}a` }, 'too_large'],
  ['a long string inside', 'claims.l.exists(x, x.startsWith("a"))', { l: ['a', `${text}a`] }, 'too_large'],
  ['a long name of a field', 'claims.m.exists(k, k == "a")', { m: { a: 1, [`${text}a`]: 1 } }, 'too_large'],
  ['a deep value', 'claims.a == claims.a', { a: deep(40) }, 'too_large'],
  ['what is large and not read does no harm', 'claims.b == "x"', { b: 'x', a: `${text}a`, l: items(1_000, 1) }, 'holds'],
  ['the largest text and list that are allowed', 'claims.a.startsWith("a") && "b" in claims.l', { a: text, l: [...items(199, 'a'), 'b'] }, 'holds'],
  ['type confusion: a list is no name of a field', 'claims[claims.k] == "x"', { k: ['a'], a: 'x' }, 'no_value'],
  ['type confusion: a number is no name of a field', 'resource.tags[claims.k] == "x" || claims.k in claims', { k: 5, 5: 'x' }, 'no_value'],
  ['type confusion: a list of one is not its item', 'claims.a == "x" || claims.a in ["x"]', { a: ['x'] }, 'does_not_hold'],
  ['type confusion: a list has no methods of text', 'claims.a.contains("x")', { a: ['x'] }, 'no_value'],
  ['type confusion: true is not 1', 'claims.a == 1 || claims.b == true || claims.b', { a: true, b: 1 }, 'no_value'],
  ['__proto__ and constructor are names that are not there', 'claims.__proto__ == claims || claims.constructor == "Object" || has(claims.toString)', {}, 'no_value'],
  ['an own __proto__ is a field like others', 'claims["__proto__"].admin == true', JSON.parse('{"__proto__":{"admin":true}}') as Record<string, unknown>, 'holds'],
  ['the length of a list is no field', 'claims.l["length"] == 1 || has(claims.l.length)', { l: [1] }, 'no_value'],
  ['a letter that only looks like another', 'claims.a.lowerAscii() == "kim"', { a: '\u212aim' }, 'does_not_hold'],
  ['functions and dates are no values', 'claims.f == claims.f || claims.g == "a"', { f: () => true, g: Symbol('a') }, 'no_value'],
];

describe('an attack when it is evaluated', () => {
  for (const [name, source, given, outcome] of attacks) {
    test(name, () => {
      const { outcome: found, steps } = compiled(source).explain({ claims: given, resource: { tags: given } });
      strictEqual(found, outcome);
      ok(steps <= maxSteps);
    });
  }

  test('an expression that ran out leaves nothing behind', () => {
    const cel = compiled('claims.l.exists(x, x == claims.a.split("")[0])');
    strictEqual(cel.explain({ claims: { l: items(200, 'b'), a: text } }).outcome, 'too_long');
    strictEqual(cel.explain({ claims: { l: ['a'], a: 'a' } }).outcome, 'holds');
  });
});

const open: readonly (readonly [string, string, Record<string, unknown>, CelOutcome])[] = [
  ['one side decides whoever asks', 'resource.tags.env == "dev" && principal.email == "a"', { env: 'prod' }, 'does_not_hold'],
  ['one side leaves it open', 'resource.tags.env == "dev" && principal.email == "a"', { env: 'dev' }, 'unknown'],
  ['a missing value is nobody\'s', 'resource.tags.owner == principal.email', {}, 'no_value'],
  ['a value may be anybody\'s', 'resource.tags.owner == principal.email', { owner: 'a' }, 'unknown'],
  ['what is missing spoils and', 'resource.tags.env == "dev" && principal.email == "a"', {}, 'does_not_hold'],
  ['but not what is said against it', '!(resource.tags.env == "dev" && principal.email == "a")', {}, 'unknown'],
  ['what is missing spoils all', '[resource.tags.env, principal.email].all(e, e == "a")', {}, 'no_value'],
  ['what is missing does not spoil or', 'resource.tags.env == "dev" || principal.email == "a"', {}, 'unknown'],
  ['an item may be anybody\'s', '["x", resource.tags.env].exists(e, e == principal.tags.env)', { env: 'dev' }, 'unknown'],
  ['all items, one of which is nobody\'s', '["x", resource.tags.env].all(e, e != "x" && e == principal.tags.env)', { env: 'dev' }, 'does_not_hold'],
];

describe('before anybody asks', () => {
  for (const [name, source, tags, outcome] of open) {
    test(name, () => {
      const values = { claims: anything, resource: { tags }, principal: anything };
      strictEqual(compiled(source).explain(values).outcome, outcome);
      strictEqual(compiled(source).couldHold(values), outcome === 'unknown');
    });
  }

  test('what it reads is told as paths', () => {
    const paths = compiled('resource.tags.env == "a" && resource.attributes["p"] > 1 && claims.groups.exists(g, g in resource.tags) && has(claims.a.b)').reads;
    deepStrictEqual(paths.map(({ path }) => path.join('.')), ['resource.tags.env', 'resource.attributes.p', 'claims.groups', 'resource.tags', 'claims.a.b']);
  });
});
