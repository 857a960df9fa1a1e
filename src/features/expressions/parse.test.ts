import { test } from 'node:test';
import { deepStrictEqual, match, ok, strictEqual, throws } from 'node:assert/strict';
import fc from 'fast-check';
import { Refusal } from '#kernel/errors.ts';
import type { BinaryOperator, Node } from './ast.ts';
import { functions } from './example-world.ts';
import { parse } from './parse.ts';
import { fieldErrorOf, placeOf } from './place.ts';
import { compileTemplate } from './template.ts';

const base = { line: 1, column: 1 };

/** A tree without positions, as ordinary JSON. */
function shapeOf(text: string): unknown {
  return bare(parse({ text, base }, functions));
}

function bare(node: Node): unknown {
  return JSON.parse(JSON.stringify(node, (key, value: unknown) => (key === 'at' ? undefined : value)));
}

const powers: Readonly<Record<BinaryOperator, number>> = {
  '||': 2, '&&': 3, '==': 4, '!=': 4, '=~': 4, '<': 5, '<=': 5, '>': 5, '>=': 5, '+': 6, '-': 6, '*': 7, '/': 7, '%': 7,
};
const plainName = /^[A-Za-z_$][A-Za-z0-9_$]*$/;

/** Writes a tree with as few parentheses as the precedence of the language allows. */
function print(node: Node, power = 0): string {
  const wrapped = (own: number, text: string): string => (own < power ? `(${text})` : text);
  switch (node.type) {
    case 'text': return escaped(node.text);
    case 'constant': return typeof node.data === 'string' ? `"${escaped(node.data)}"` : String(node.data);
    case 'path': return node.keys.slice(1).reduce((text, key) => text + printKey(key), rootOf(node.keys[0]!));
    case 'member': return print(node.target, 9) + printKey(node.key);
    case 'method': return `${print(node.target, 9)}.${node.name}(${node.args.map((arg) => print(arg)).join(', ')})`;
    case 'call': return `${node.name}(${node.args.map((arg) => print(arg)).join(',')})`;
    case 'list': return `[${node.items.map((item) => print(item)).join(', ')}]`;
    case 'unary': return wrapped(8, `${node.operator}${print(node.operand, 8)}`);
    case 'binary': {
      const own = powers[node.operator];
      return wrapped(own, `${print(node.left, own)} ${node.operator} ${print(node.right, own + 1)}`);
    }
    case 'conditional':
      return wrapped(1, `${print(node.test, 2)} ? ${print(node.then, 1)} : ${print(node.otherwise, 1)}`);
    case 'join':
      return `"${node.parts.map((part) => (part.type === 'text' ? print(part) : `<+${print(part)}>`)).join('')}"`;
  }
}

function rootOf(key: Node): string {
  return key.type === 'constant' ? String(key.data) : '';
}

function printKey(key: Node): string {
  const isName = key.type === 'constant' && typeof key.data === 'string' && plainName.test(key.data);
  return isName ? `.${String(key.data)}` : `[${print(key)}]`;
}

function escaped(text: string): string {
  return text.replace(/[\\"<]/g, '\\$&').replace(/[\ud800-\udfff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16)}`);
}

const at = 0;
const constant = (data: null | boolean | number | string): Node => ({ type: 'constant', data, at });
const name = fc.constantFrom('a', 'stage', '$x', '_', 'constructor', '__proto__', 'T1');
const someText = fc.string({ minLength: 1, maxLength: 5, unit: fc.constantFrom('a', '"', "'", '\\', '<', '+', '>', '\n', '`', 'ü', '\ud83d') });
const trees = fc.letrec<{ node: Node; notPath: Node }>((tie) => ({
  notPath: fc.oneof({ depthSize: 'small', withCrossShrink: true },
    fc.oneof(fc.nat(), fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }), fc.boolean(), fc.constant(null), fc.constant(''), someText)
      .map((data) => constant(Object.is(data, -0) ? 0 : data)),
    fc.record({ type: fc.constant('list' as const), items: fc.array(tie('node'), { maxLength: 3 }), at: fc.constant(at) }),
    fc.record({ type: fc.constant('unary' as const), operator: fc.constantFrom('!' as const, '-' as const), operand: tie('node'), at: fc.constant(at) }),
    fc.record({
      type: fc.constant('binary' as const), operator: fc.constantFrom(...Object.keys(powers) as BinaryOperator[]),
      left: tie('node'), right: tie('node'), at: fc.constant(at),
    }).filter((node) => node.operator !== '=~' || (node.right.type !== 'join' && node.right.type !== 'constant')),
    fc.record({ type: fc.constant('conditional' as const), test: tie('node'), then: tie('node'), otherwise: tie('node'), at: fc.constant(at) }),
    fc.record({ type: fc.constant('member' as const), target: tie('notPath'), key: tie('node'), at: fc.constant(at) }),
    fc.record({ type: fc.constant('method' as const), target: tie('node'), name: fc.constant('trim'), args: fc.constant([]), at: fc.constant(at) }),
    fc.record({ type: fc.constant('method' as const), target: tie('node'), name: fc.constant('replace'), args: fc.tuple(tie('node'), tie('node')), at: fc.constant(at) }),
    fc.record({ type: fc.constant('call' as const), name: fc.constant('secrets.getValue'), args: fc.tuple(tie('node')), at: fc.constant(at) }),
    fc.record({
      type: fc.constant('join' as const), at: fc.constant(at),
      parts: fc.tuple(tie('node'), fc.option(someText), fc.option(tie('node'))).map(([first, text, last]): Node[] =>
        [first, ...(text === null ? [] : [{ type: 'text', text, at } as const]), ...(last === null ? [] : [last])]),
    })),
  node: fc.oneof({ depthSize: 'small', withCrossShrink: true },
    fc.tuple(name, fc.array(fc.oneof(name.map(constant), fc.nat(9).map(constant), someText.map(constant), tie('notPath')), { maxLength: 3 }))
      .map(([root, keys]): Node => ({ type: 'path', keys: [constant(root), ...keys], at })),
    tie('notPath')),
}));

test('property: a printed tree is read as the same tree', () => {
  fc.assert(fc.property(trees.node, (node) => {
    deepStrictEqual(shapeOf(`<+${print(node)}>`), bare(node));
  }), { numRuns: 800 });
});

test('property: parentheses around everything change nothing', () => {
  fc.assert(fc.property(trees.node, (node) => {
    deepStrictEqual(shapeOf(`<+( (${print(node)}) )>`), bare(node));
  }), { numRuns: 200 });
});

test('property: any text compiles or is refused with a place inside it, nothing else', () => {
  const pieces = fc.constantFrom('<+', '>', 'a', '.b', '["c"]', '(', ')', '"', "'", ' ', '\n', '==', '>=', '&&', '!', '?', ':', '1', ',', '\\', 'json.object', '.get', '\ud800', '\u0000');
  fc.assert(fc.property(fc.array(pieces, { maxLength: 30 }).map((some) => some.join('')), (text) => {
    try {
      compileTemplate(text, { functions });
    } catch (error) {
      ok(error instanceof Refusal, String(error));
      const place = placeOf(error);
      ok(place !== undefined && place.offset >= 0 && place.offset <= text.length);
    }
  }), { numRuns: 2_000 });
});

const precedence: readonly (readonly [string, string])[] = [
  ['a || b && c', 'a || (b && c)'], ['a && b == c', 'a && (b == c)'], ['a == b < c', 'a == (b < c)'], ['a < b + c', 'a < (b + c)'],
  ['a + b * c', 'a + (b * c)'], ['-a * b', '(-a) * b'], ['!a == b', '(!a) == b'], ['-a.b[0]', '-(a.b[0])'], ['!a.trim()', '!(a.trim())'],
  ['a - b - c', '(a - b) - c'], ['a / b * c', '(a / b) * c'], ['a == b != c', '(a == b) != c'], ['a =~ b && c', '(a =~ b) && c'],
  ['a ? b : c ? d : e', 'a ? b : (c ? d : e)'], ['a ? b ? c : d : e', 'a ? (b ? c : d) : e'], ['a || b ? c : d', '(a || b) ? c : d'],
  ['a ? b : c || d', 'a ? b : (c || d)'], ['a.get("b")', 'a["b"]'], ['a.get("b").c', 'a.b.c'], ['(a.b).c', 'a.b.c'],
  ['<+a.b>.c', 'a.b.c'], ['<+<+a>>', 'a'], ["'a'", '"a"'], ['a.<+b>', 'a[b]'], ['a?b:c', 'a ? b : c'], ['a&&b||!c', '(a && b) || (!c)'],
];

for (const [written, meant] of precedence) {
  test(`${written} means ${meant}`, () => deepStrictEqual(shapeOf(`<+${written}>`), shapeOf(`<+${meant}>`)));
}

interface Located { readonly name: string; readonly text: string; readonly line: number; readonly column: number; readonly say: RegExp }

const errors: readonly Located[] = [
  { name: 'an expression that never ends', text: 'abc <+a', line: 1, column: 5, say: /never closed/ },
  { name: 'an inner expression that never ends', text: '<+a == <+b', line: 1, column: 8, say: /never closed/ },
  { name: 'a > with a blank before it and text behind', text: 'echo <+a > file', line: 1, column: 6, say: /`>` after white space compares/ },
  { name: 'a string that never ends', text: '<+"abc>', line: 1, column: 3, say: /this string never ends; close it with "/ },
  { name: 'an empty expression', text: 'a\n<+>', line: 2, column: 1, say: /is empty/ },
  { name: 'an expression of blanks', text: '<+  >', line: 1, column: 1, say: /is empty/ },
  { name: 'two values without an operator', text: '<+a b>', line: 1, column: 5, say: /`b` cannot stand here; between values an operator/ },
  { name: 'text glued to a nested expression', text: '<+<+a>_b == "x">', line: 1, column: 7, say: /`_b` cannot stand here/ },
  { name: 'an operator without its right side', text: '<+a ==>', line: 1, column: 7, say: /the end of the expression cannot stand here/ },
  { name: 'an operator without its left side', text: '<+== a>', line: 1, column: 3, say: /`==` cannot stand here/ },
  { name: 'a single =', text: '<+a = b>', line: 1, column: 5, say: /write `==`/ },
  { name: 'a single &', text: '<+a & b>', line: 1, column: 5, say: /write `&&`/ },
  { name: 'a single |', text: '<+a | b>', line: 1, column: 5, say: /write `\|\|`/ },
  { name: 'curly quotes', text: '<+a == “x”>', line: 1, column: 8, say: /straight quotes/ },
  { name: 'an unknown sign', text: '<+a # b>', line: 1, column: 5, say: /`#` means nothing/ },
  { name: 'an unknown sign outside the basic plane', text: '<+a 😀 b>', line: 1, column: 5, say: /`😀` means nothing/ },
  { name: 'a missing parenthesis', text: '<+(a == b>', line: 1, column: 3, say: /this `\(` is never closed/ },
  { name: 'a parenthesis too many', text: '<+a)>', line: 1, column: 4, say: /`\)` cannot stand here/ },
  { name: 'brackets crossed', text: '<+[a)]>', line: 1, column: 5, say: /`,` is expected here, not `\)`/ },
  { name: 'a list with a comma at its end', text: '<+[a,]>', line: 1, column: 6, say: /`\]` cannot stand here/ },
  { name: 'a ternary without its second branch', text: '<+a ? b>', line: 1, column: 8, say: /`:` is expected here, not the end/ },
  { name: 'a dot without a name', text: '<+a.>', line: 1, column: 5, say: /a name is expected here, not the end/ },
  { name: 'a dot with a number', text: '<+a.0>', line: 1, column: 5, say: /write a numeric index in brackets/ },
  { name: 'a name that begins with a digit', text: '<+a.b == 1abc>', line: 1, column: 10, say: /neither a number nor a name/ },
  { name: 'a number with a leading zero', text: '<+007>', line: 1, column: 3, say: /neither a number nor a name/ },
  { name: 'a number beyond all numbers', text: '<+1e999>', line: 1, column: 3, say: /neither a number/ },
  { name: 'an unknown escape', text: '<+"a\\d">', line: 1, column: 5, say: /`\\d` is not an escape; for a backslash write `\\\\`/ },
  { name: 'a short \\u', text: '<+"\\u12">', line: 1, column: 4, say: /`\\u` is not an escape/ },
  { name: 'a pattern', text: '<+a =~ "x.*">', line: 1, column: 5, say: /takes a list, `x =~ \["a", "b"\]`; patterns in a string are not supported yet/ },
  { name: 'a pattern in parentheses', text: '<+a =~ ("x.*")>', line: 1, column: 5, say: /patterns in a string are not supported yet/ },
  { name: 'a pattern that is put together', text: '<+a =~ "<+b>.*">', line: 1, column: 5, say: /patterns in a string are not supported yet/ },
  { name: 'an unknown function', text: '<+secrets.getValu("a")>', line: 1, column: 11, say: /no function or method `secrets\.getValu\(\)`; did you mean `secrets\.getValue`\?/ },
  { name: 'an unknown method', text: '<+a.b.toLowercas()>', line: 1, column: 7, say: /did you mean `toLowerCase`\?/ },
  { name: 'an unknown bare function', text: '<+empty(a)>', line: 1, column: 3, say: /no function or method `empty\(\)`/ },
  { name: 'too few arguments of a function', text: '<+secrets.getValue()>', line: 1, column: 3, say: /`secrets\.getValue\(\)` takes 1 to 2 arguments, not 0/ },
  { name: 'too many arguments of a method', text: '<+a.trim("x")>', line: 1, column: 5, say: /`trim\(\)` takes 0 arguments, not 1/ },
  { name: 'get without a key', text: '<+a.get()>', line: 1, column: 5, say: /`get\(\)` takes 1 argument, not 0/ },
  { name: 'calling what is not a name', text: '<+a["b"]("c")>', line: 1, column: 9, say: /only functions and methods can be called, by name/ },
  { name: 'an error on a later line', text: 'one\r\ntwo <+a\n  b>', line: 3, column: 3, say: /`b` cannot stand here.*: `b>`/ },
  { name: 'an error in a nested string', text: '<+"x <+"y <+a b>">">', line: 1, column: 15, say: /`b` cannot stand here/ },
];

for (const { name: row, text, line, column, say } of errors) {
  test(`refused at ${line}:${column}: ${row}`, () => {
    throws(() => compileTemplate(text, { functions }), (error: unknown) => {
      ok(error instanceof Refusal);
      strictEqual(error.code, 'expression.invalid');
      match(error.say ?? '', say);
      deepStrictEqual([placeOf(error)?.line, placeOf(error)?.column], [line, column]);
      match(error.say ?? '', new RegExp(`\\(line ${line}, column ${column}: \`.*\`\\)$`));
      return true;
    });
  });
}

test('a position is counted from where the text stands in its file', () => {
  const options = { functions, base: { line: 40, column: 18, indent: 6 } };
  const placed = (text: string) => {
    try {
      compileTemplate(text, options);
    } catch (error) {
      return placeOf(error);
    }
    return undefined;
  };
  deepStrictEqual(placed('<+a b>'), { offset: 4, line: 40, column: 22 });
  deepStrictEqual(placed('x\n<+a b>'), { offset: 6, line: 41, column: 11 });
  deepStrictEqual(placed('x\n\n<+a b>'), { offset: 7, line: 42, column: 11 });
});

test('a refusal becomes a fault of a field, with its suggestion', () => {
  throws(() => compileTemplate('<+a.tolowercase()>', { functions }), (error: unknown) => {
    ok(error instanceof Refusal);
    const field = fieldErrorOf(error, '/spec/pipeline/stages/0');
    deepStrictEqual([field.pointer, field.suggestion], ['/spec/pipeline/stages/0', 'toLowerCase']);
    match(field.message, /line 1, column 5/);
    return true;
  });
  deepStrictEqual(fieldErrorOf(new Refusal('request.invalid', { say: 'x' }), ''), { pointer: '', message: 'x' });
  strictEqual(placeOf(new Error('x')), undefined);
});

test('an excerpt is short, printable and on one line', () => {
  const text = `${'x'.repeat(500)}\u001b[31m\u202e <+a \`b> ${'y'.repeat(500)}\n${'z'.repeat(100)}`;
  throws(() => compileTemplate(text, { functions }), (error: unknown) => {
    const say = (error as Refusal).say ?? '';
    ok(say.length < 250, say);
    ok(!/[\u001b\u202e\n]/.test(say));
    ok(!say.includes('zzz'));
    return true;
  });
});
