import { test } from 'node:test';
import { deepStrictEqual, match, ok, strictEqual, throws } from 'node:assert/strict';
import fc from 'fast-check';
import { Refusal } from '#kernel/errors.ts';
import { contextFrom, marked } from './context.ts';
import { deliver } from './deliver.ts';
import { evaluate } from './evaluate.ts';
import { functions, outcomeOf, valueIn } from './example-world.ts';
import type { Context, Residual, Sink, Taint, Value } from './schema.ts';
import { compileTemplate } from './template.ts';
import { unite, untrusted } from './value.ts';

const secret = (uid: string): Taint => ({ secrets: new Set([uid]), untrusted: false });

const tainted = contextFrom({
  a: marked('alpha', secret('A')), b: marked('beta', secret('B')), u: marked('outside', untrusted),
  n: marked(3, secret('N')), un: marked(2, untrusted), yes: marked(true, secret('Y')), no: marked(false, untrusted),
  list: marked(['x', 'y'], secret('L')), mixed: { left: marked('l', secret('ML')), right: marked('r', untrusted), plain: 1 },
  object: marked('{"k": "v"}', secret('O')), clean: 'clean',
});

/** `*` stands for untrusted. */
function taintsOf(text: string, context: Context = tainted): string {
  const outcome = evaluate(compileTemplate(text, { functions }), { context, sink: 'environment' });
  ok(outcome.kind === 'value');
  return spelled(outcome.value);
}

function spelled({ secrets, untrusted: outside }: Taint): string {
  return [...[...secrets].sort(), ...(outside ? ['*'] : [])].join(' ');
}

const table: readonly (readonly [string, string])[] = [
  ['"literal"', ''], ['clean', ''], ['a', 'A'], ['u', '*'],
  ['a == b', 'A B'], ['a != u', 'A *'], ['a < u', 'A *'], ['n <= un', 'N *'], ['n > 1', 'N'], ['un >= 1', '*'],
  ['a + u', 'A *'], ['n + un', 'N *'], ['n - 1', 'N'], ['1 * un', '*'], ['n / un', 'N *'], ['n % un', 'N *'],
  ['-n', 'N'], ['!yes', 'Y'], ['!no', '*'],
  ['yes && no', 'Y *'], ['no || yes', 'Y *'], ['yes || no', 'Y'], ['no && yes', '*'], ['true && yes', 'Y'],
  ['yes ? clean : a', 'Y'], ['yes ? a : u', 'A Y'], ['no ? a : clean', '*'], ['no ? a : b', 'B *'],
  ['yes ? (no ? a : b) : clean', 'B Y *'], ['yes == true ? 1 : 2', 'Y'],
  ['a =~ ["alpha"]', 'A'], ['clean =~ [a, u]', 'A *'], ['a =~ list', 'A L'],
  ['[a, u, clean]', 'A *'], ['[a, [b, [u]]]', 'A B *'], ['[a, clean][1]', 'A'], ['[a, clean].get(1)', 'A'],
  ['mixed', 'ML *'], ['mixed.plain', ''], ['mixed.left', 'ML'], ['mixed.size()', 'ML *'],
  ['a.split("p")', 'A'], ['a.split("p")[0]', 'A'], ['"a-b".split(u)', '*'], ['a.contains(u)', 'A *'],
  ['"x".contains(a)', 'A'], ['a.toLowerCase()', 'A'], ['a.toUpperCase()', 'A'], ['a.replace("x", "y")', 'A'],
  ['"x".replace(a, u)', 'A *'], ['"x".replace("x", a)', 'A'], ['"x".concat(u)', '*'], ['a.concat("x")', 'A'],
  ['a.length()', 'A'], ['a.size()', 'A'], ['u.trim()', '*'], ['a.startsWith(u)', 'A *'], ['"x".endsWith(a)', 'A'],
  ['"xyz".substring(un)', '*'], ['a.substring(0, un)', 'A *'], ['a.indexOf("p")', 'A'], ['"x".indexOf(u)', '*'],
  ['a.isEmpty()', 'A'], ['list.isEmpty()', 'L'], ['list.size()', 'L'], ['list.contains(u)', 'L *'],
  ['list.join(a)', 'A L'], ['[a].join(u)', 'A *'], ['list.get(0)', 'L'], ['[1, 2, 3][un]', '*'], ['[1, 2, 3, 4].get(n)', 'N'],
  ['json.object(object)', 'O'], ['json.object(object).k', 'O'], ['json.select("k", object)', 'O'],
  ['json.select("nothing", object)', 'O'], ['json.select(u, object)', 'O *'],
  ['"<+a> and <+u>"', 'A *'], ['"<+clean>"', ''],
];

for (const [text, expected] of table) {
  test(`${text} carries ${expected || 'nothing'}`, () => strictEqual(taintsOf(`<+${text}>`), expected));
}

test('text around expressions carries the taints of all of them', () => {
  strictEqual(taintsOf('x <+a> y <+u> z <+clean>'), 'A *');
});

test('a function that drops the taints of its arguments does not get away with it', () => {
  const forgetful = { name: 'test.drop', phase: 'plan', parameters: { min: 1, max: 1 }, summary: '', example: '',
    call: ([value]: readonly Value[]) => ({ data: value!.data, secrets: new Set<string>(), untrusted: false }) } as const;
  const template = compileTemplate('<+test.drop(a + u)>', { functions: new Map([[forgetful.name, forgetful]]) });
  const outcome = evaluate(template, { context: tainted, sink: 'environment' });
  ok(outcome.kind === 'value');
  strictEqual(spelled(outcome.value), 'A *');
});

test('a function may add taints of its own', () => {
  const outside = { name: 'test.read', phase: 'plan', parameters: { min: 0, max: 0 }, summary: '', example: '',
    call: () => ({ data: 'x', ...untrusted }) } as const;
  const template = compileTemplate('<+test.read() + a>', { functions: new Map([[outside.name, outside]]) });
  const outcome = evaluate(template, { context: tainted, sink: 'environment' });
  ok(outcome.kind === 'value');
  strictEqual(spelled(outcome.value), 'A *');
});

test('united taints hold every secret of every part', () => {
  deepStrictEqual(unite([]), { secrets: new Set(), untrusted: false });
  deepStrictEqual(unite([secret('A'), secret('B'), untrusted]), { secrets: new Set(['A', 'B']), untrusted: true });
});

interface SinkRow { readonly text: string; readonly script: boolean; readonly plain: boolean; readonly environment: boolean }

const sinks: readonly SinkRow[] = [
  { text: 'echo hello', script: true, plain: true, environment: true },
  { text: 'echo <+pipeline.name>', script: true, plain: true, environment: true },
  { text: 'echo <+trigger.payload.title>', script: false, plain: true, environment: true },
  { text: '<+trigger.payload.title>', script: false, plain: true, environment: true },
  { text: '<+trigger.payload.title == "x" ? "a" : "b">', script: false, plain: true, environment: true },
  { text: 'echo <+trigger.payload.title.length()>', script: false, plain: true, environment: true },
  { text: 'echo <+trigger.payload.title.concat("x").substring(0, 0)>', script: false, plain: true, environment: true },
  { text: 'echo <+outputs.fromSecret>', script: false, plain: false, environment: true },
  { text: '<+outputs.fromSecret == "x">', script: false, plain: false, environment: true },
  { text: '<+outputs.fromSecret.isEmpty() ? 1 : 2>', script: false, plain: false, environment: true },
  { text: 'echo <+secrets.getValue("db_password")>', script: false, plain: false, environment: true },
  { text: '<+secrets.getJWT("account.partner") == "x">', script: false, plain: false, environment: true },
  { text: '<+true ? "x" : secrets.getValue("db_password")>', script: true, plain: true, environment: true },
];

for (const { text, ...accepted } of sinks) {
  for (const sink of ['script', 'plain', 'environment'] as const satisfies readonly Sink[]) {
    test(`${sink} ${accepted[sink] ? 'takes' : 'refuses'} ${text}`, () => {
      if (accepted[sink]) return void outcomeOf(text, sink);
      throws(() => outcomeOf(text, sink), (error: unknown) => {
        ok(error instanceof Refusal);
        strictEqual(error.code, 'expression.forbidden');
        match(error.say ?? '', sink === 'script' ? /envVariables/ : /only the environment/);
        match(error.say ?? '', /\(line 1, column \d+: /);
        return true;
      });
    });
  }
}

test('the piece that a script may not hold is the one that is pointed at', () => {
  throws(
    () => outcomeOf('echo <+pipeline.name>\necho <+trigger.payload.title>', 'script'),
    (error: unknown) => error instanceof Refusal && /\(line 2, column 8: /.test(error.say ?? ''),
  );
});

const naming: readonly string[] = [
  'secrets.getValue(trigger.payload.key)', 'secrets.getValue("a_" + trigger.payload.key)', 'secrets.getValue("<+trigger.payload.key>")',
  'secrets.getValue(trigger.payload.key == "x" ? "a" : "b")', 'secrets.getJWT("a", trigger.payload.title)',
  'secrets.getValue(outputs.fromSecret)', 'secrets.getValue(secrets.getValue("a"))', 'secrets.getJWT("x".concat(secrets.getValue("a")))',
  'secrets.getValue(json.select("a", trigger.payload.labels))', 'secrets.getValue(trigger.payload.labels[0])',
];

for (const text of naming) {
  test(`attack: ${text} names nothing`, () => {
    throws(() => outcomeOf(`<+${text}>`), (error: unknown) => {
      ok(error instanceof Refusal);
      strictEqual(error.code, 'expression.forbidden');
      match(error.say ?? '', /may not name what `secrets\.get(Value|JWT)` delivers \(line 1, column \d+: /);
      return true;
    });
  });
}

test('what the author or the server wrote may name a secret', () => {
  for (const text of ['secrets.getValue("org.a" + "_b")', 'secrets.getValue(stage.name)', 'secrets.getValue("<+env.identifier>_key")']) {
    strictEqual(outcomeOf(`<+${text}>`).kind, 'residual');
  }
});

/** Well-typed expressions over three leaves of each type, each with a taint of its own. */
const typed = fc.letrec<{ text: string; number: string; truth: string }>((tie) => ({
  text: fc.oneof({ depthSize: 'small', withCrossShrink: true },
    fc.constantFrom('t1', 't2', 't3', '"lit"', '"a-b"'),
    fc.tuple(tie('text'), tie('text')).map(([a, b]) => `(${a} + ${b})`),
    fc.tuple(tie('text'), tie('number')).map(([a, b]) => `"<+${a}>/<+${b}>"`),
    fc.tuple(tie('truth'), tie('text'), tie('text')).map(([c, a, b]) => `(${c} ? ${a} : ${b})`),
    fc.tuple(tie('text'), tie('text'), tie('text')).map(([a, b, c]) => `(${a}).replace("a".concat(${b}), ${c})`),
    fc.tuple(tie('text'), tie('text')).map(([a, b]) => `[${a}, ${b}].join("-")`),
    tie('text').map((a) => `(${a}).split("-")[0].toUpperCase()`)),
  number: fc.oneof({ depthSize: 'small', withCrossShrink: true },
    fc.constantFrom('n1', 'n2', 'n3', '7'),
    fc.tuple(tie('number'), fc.constantFrom('+', '-', '*'), tie('number')).map(([a, o, b]) => `(${a} ${o} ${b})`),
    tie('text').map((a) => `(${a}).length()`)),
  truth: fc.oneof({ depthSize: 'small', withCrossShrink: true },
    fc.constantFrom('b1', 'b2', 'true', 'false'),
    fc.tuple(tie('number'), fc.constantFrom('<', '<=', '>', '>=', '==', '!='), tie('number')).map(([a, o, b]) => `(${a} ${o} ${b})`),
    fc.tuple(tie('truth'), fc.constantFrom('&&', '||', '=='), tie('truth')).map(([a, o, b]) => `(${a} ${o} ${b})`),
    fc.tuple(tie('text'), tie('text')).map(([a, b]) => `(${a} =~ [${b}, "lit"])`),
    tie('truth').map((a) => `(!${a})`)),
}));
const anyTyped = fc.oneof(typed.text, typed.number, typed.truth);

const leaves = {
  t1: marked('one', secret('t1')), t2: marked('', untrusted), t3: marked('a-b-a', secret('t3')),
  n1: marked(1, secret('n1')), n2: marked(-2, untrusted), n3: marked(30, secret('n3')),
  b1: marked(true, secret('b1')), b2: marked(false, untrusted),
};

test('property: a result carries exactly the taints of everything that was read for it', () => {
  fc.assert(fc.property(anyTyped, (text) => {
    const read: Taint[] = [];
    const inner = contextFrom(leaves);
    const recording: Context = {
      lookup(path) {
        const answer = inner.lookup(path);
        if (typeof answer === 'object') read.push(answer.found);
        return answer;
      },
    };
    strictEqual(taintsOf(`<+${text}>`, recording), spelled(unite(read)));
  }), { numRuns: 400 });
});

test('property: two phases give the value and the taints that one phase gives', async () => {
  const deferring = (text: string): string => text.replace(/\b(t1|t3|n1|b1)\b/g, 'secrets.getValue("$1")');
  const plainData: Record<string, string | number | boolean> = { t1: 'one', t3: 'a-b-a', n1: 1, b1: true };
  await fc.assert(fc.asyncProperty(anyTyped, async (text) => {
    const context = contextFrom(leaves);
    const direct = evaluate(compileTemplate(`<+${text}>`, { functions }), { context, sink: 'environment' });
    const phased = evaluate(compileTemplate(`<+${deferring(text)}>`, { functions }), { context, sink: 'environment' });
    ok(direct.kind === 'value');
    const value = phased.kind === 'value' ? phased.value : await deliver(
      JSON.parse(JSON.stringify(phased.residual)) as Residual,
      { functions, resolve: ({ args }) => Promise.resolve({ data: plainData[String(args[0])]!, ...secret(String(args[0])) }) },
    );
    deepStrictEqual(value.data, direct.value.data);
    strictEqual(spelled(value), spelled(direct.value));
  }), { numRuns: 400 });
});

test('the value of a text is what its sink takes', () => strictEqual(valueIn('<+pipeline.name>', 'script').data, 'recover'));
