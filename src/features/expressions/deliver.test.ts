import { test } from 'node:test';
import { deepStrictEqual, match, ok, rejects, strictEqual } from 'node:assert/strict';
import { Refusal, refusal } from '#kernel/errors.ts';
import { deliver } from './deliver.ts';
import { delivered, functions, outcomeOf } from './example-world.ts';
import type { Need, Residual } from './schema.ts';
import { compileTemplate, writtenNeeds } from './template.ts';

function residualOf(text: string): Residual {
  const outcome = outcomeOf(text);
  ok(outcome.kind === 'residual', 'a residual was expected');
  return outcome.residual;
}

const rows: readonly (readonly [name: string, text: string, data: unknown, secrets: readonly string[], untrusted: boolean])[] = [
  ['one call alone', '<+secrets.getValue("a")>', 'secrets.getValue:a', ['uid-a'], false],
  ['a call in text', 'token=<+secrets.getJWT("account.partner")>;', 'token=secrets.getJWT:account.partner;', ['uid-account.partner'], false],
  ['a computed argument', '<+secrets.getValue("org." + stage.name)>', 'secrets.getValue:org.build', ['uid-org.build'], false],
  ['two calls', '<+secrets.getValue("a") + secrets.getValue("b")>', 'secrets.getValue:asecrets.getValue:b', ['uid-a', 'uid-b'], false],
  ['a comparison carries the taint', '<+secrets.getValue("a") == "x">', false, ['uid-a'], false],
  ['with a value from outside', '<+secrets.getValue("a")>/<+trigger.payload.branch>', 'secrets.getValue:a/main', ['uid-a'], true],
  ['with a value derived from a secret', '<+secrets.getValue("a")>/<+outputs.fromSecret>', 'secrets.getValue:a/from-secret', ['uid-a', 'uid-derived'], false],
  ['a decided condition keeps its taint', '<+trigger.payload.branch == "main" ? secrets.getValue("a") : "">', 'secrets.getValue:a', ['uid-a'], true],
  ['methods and indexes', '<+secrets.getValue("a").split(":")[1].toUpperCase()>', 'A', ['uid-a'], false],
  ['a function of the plan', '<+json.select("x", "{\\"x\\": \\"<+secrets.getValue("a")>\\"}")>', 'secrets.getValue:a', ['uid-a'], false],
  ['a list', '<+[1, secrets.getValue("a")].size()>', 2, ['uid-a'], false],
  ['negation', '<+!(secrets.getValue("a") == "x")>', true, ['uid-a'], false],
  ['the right side counts', '<+pipeline.ok && secrets.getValue("a") == "x">', false, ['uid-a'], false],
  ['the left side is awaited', '<+secrets.getValue("a") == "x" || pipeline.ok>', true, ['uid-a'], false],
  ['a condition that is delivered', '<+secrets.getValue("a").isEmpty() ? secrets.getValue("b") : secrets.getValue("c")>', 'secrets.getValue:c', ['uid-a', 'uid-c'], false],
];

for (const [name, text, data, secrets, untrusted] of rows) {
  test(`delivers ${name}`, async () => {
    const value = await delivered(residualOf(text));
    deepStrictEqual(value.data, data);
    deepStrictEqual([...value.secrets].sort(), secrets);
    strictEqual(value.untrusted, untrusted);
  });
}

const plain: readonly (readonly [string, string, unknown])[] = [
  ['the branch not chosen', '<+pipeline.ok ? 1 : secrets.getValue("a")>', 1],
  ['the right side of a decided &&', '<+!pipeline.ok && secrets.getValue("a") == "x">', false],
  ['the right side of a decided ||', '<+pipeline.ok || secrets.getValue("a") == "x">', true],
];

for (const [name, text, data] of plain) {
  test(`needs nothing for ${name}`, () => {
    const outcome = outcomeOf(text);
    deepStrictEqual(outcome.kind === 'value' && outcome.value.data, data);
  });
}

test('a residual gives the same before and after storage as JSON', async () => {
  const residual = residualOf('<+stage>/<+secrets.getValue("a")>/<+trigger.payload.labels>');
  const resolve = () => Promise.resolve({ data: 'x', secrets: new Set(['uid']), untrusted: false });
  const fresh = await deliver(residual, { functions, resolve });
  deepStrictEqual(await deliver(JSON.parse(JSON.stringify(residual)) as Residual, { functions, resolve }), fresh);
  strictEqual(fresh.data, '{"name":"build","identifier":"build"}/x/["bug","fix"]');
  strictEqual(residual.untrusted, true);
  deepStrictEqual(residual.secrets, []);
});

test('a residual tells the taints that are known before delivery', () => {
  const { secrets, untrusted } = residualOf('<+outputs.fromSecret == "x" ? "" : secrets.getValue("a")>');
  deepStrictEqual([secrets, untrusted], [['uid-derived'], false]);
});

test('every call that may be made is needed once, with its place', () => {
  const { needs } = residualOf('<+secrets.getValue("a")>\n<+secrets.getValue("b") == "x" ? secrets.getJWT("j", stage.name) : secrets.getValue("a")>');
  deepStrictEqual(needs, [
    { function: 'secrets.getValue', args: ['a'], line: 1, column: 3 },
    { function: 'secrets.getValue', args: ['b'], line: 2, column: 3 },
    { function: 'secrets.getJWT', args: ['j', 'build'], line: 2, column: 34 },
  ]);
});

test('calls with written arguments are found without evaluating', () => {
  const text = '<+nowhere.x ? secrets.getValue("a") : secrets.getJWT("b")> <+secrets.getValue("c" + nowhere.y)> <+secrets.getValue("d")>';
  const needs = writtenNeeds(compileTemplate(text, { functions }));
  deepStrictEqual(needs.map((need) => [need.function, need.args]),
    [['secrets.getValue', ['a']], ['secrets.getJWT', ['b']], ['secrets.getValue', ['d']]]);
});

test('the same call is made once, calls follow each other, and what is not needed is not called', async () => {
  const calls: Need[] = [];
  const residual = residualOf('<+secrets.getJWT("x")>.<+secrets.getJWT("x")>.<+secrets.getValue("q") == "q" ? secrets.getValue("yes") : secrets.getValue("no")>');
  await deliver(residual, {
    functions,
    resolve: (need) => {
      calls.push(need);
      return Promise.resolve({ data: String(need.args[0]), secrets: new Set(['uid']), untrusted: false });
    },
  });
  deepStrictEqual(calls.map((need) => need.args[0]), ['x', 'q', 'yes']);
});

test('a refusal of the resolver keeps its code and reasons and gets the place of the call', async () => {
  const denied = refusal('access.not_found', { because: 'no binding', evidence: { near: 1 } });
  await rejects(
    deliver(residualOf('a\n  <+secrets.getValue("x")>'), { functions, resolve: () => Promise.reject(denied) }),
    (error: unknown) => {
      ok(error instanceof Refusal);
      deepStrictEqual([error.code, error.because, error.cause], ['access.not_found', 'no binding', denied]);
      match(error.say ?? '', /^not found \(line 2, column 5: `<\+secrets\.getValue\("x"\)>`\)$/);
      deepStrictEqual((error.evidence as { of: unknown }).of, { near: 1 });
      return true;
    },
  );
});

test('a defect of the resolver stays a defect', async () => {
  await rejects(
    deliver(residualOf('<+secrets.getValue("x")>'), { functions, resolve: () => Promise.reject(new Error('boom')) }),
    (error: unknown) => error instanceof Error && !(error instanceof Refusal) && error.message === 'boom',
  );
});

test('a resolver that forgets the secret is a defect', async () => {
  await rejects(
    deliver(residualOf('<+secrets.getValue("x")>'), {
      functions, resolve: () => Promise.resolve({ data: 'v', secrets: new Set<string>(), untrusted: false }),
    }),
    /defect: `secrets.getValue` delivered a value that names no secret/,
  );
});

const failures: readonly (readonly [string, string, string, RegExp])[] = [
  ['a wrong type', '<+secrets.getValue("a") * 2>', 'expression.invalid', /`\*` takes numbers.*column 25/],
  ['a condition that is no truth', '<+secrets.getValue("a") ? 1 : 2>', 'expression.invalid', /must be true or false/],
  ['a member that is not there', '<+secrets.getValue("a").split(":")[7]>', 'expression.unresolved', /a list has no value at this index/],
  ['text that is not JSON', '<+json.object(secrets.getValue("a"))>', 'expression.invalid', /not JSON/],
];

for (const [name, text, code, say] of failures) {
  test(`refused at delivery with its place, and without the value: ${name}`, async () => {
    await rejects(delivered(residualOf(text)), (error: unknown) => {
      ok(error instanceof Refusal);
      strictEqual(error.code, code);
      match(error.say ?? '', say);
      match(error.say ?? '', /\(line 1, column \d+: /);
      ok(!(error.say ?? '').includes('secrets.getValue:a'));
      return true;
    });
  });
}

test('refused: a delivered value above the limit', async () => {
  const resolve = () => Promise.resolve({ data: 'x'.repeat(256 * 1024 + 1), secrets: new Set(['uid']), untrusted: false });
  await rejects(deliver(residualOf('<+secrets.getValue("a")>'), { functions, resolve }), { code: 'expression.limit' });
});

test('refused: a function that is no longer offered', async () => {
  const stored = residualOf('<+secrets.getValue("a")>');
  const resolve = () => Promise.resolve({ data: 'x', secrets: new Set(['uid']), untrusted: false });
  await rejects(deliver(stored, { functions: new Map(), resolve }), { code: 'expression.unresolved' });
  const planned = residualOf('<+json.object(secrets.getValue("a"))>');
  const onlyDelivery = new Map([...functions].filter(([, one]) => one.phase === 'delivery'));
  await rejects(deliver(planned, { functions: onlyDelivery, resolve }), { code: 'expression.unresolved' });
});

test('bomb: deliveries that are cheap each are refused when all of them together are not', async () => {
  const residual = residualOf('<+secrets.getValue("a").contains("b")>');
  const work = { bytes: 100_000 };
  const one = (): Promise<unknown> => deliver(residual, { functions, resolve: async () => ({ data: 'x'.repeat(40_000), secrets: new Set(['uid-a']), untrusted: false }), work });
  await one();
  await one();
  await rejects(one(), { code: 'expression.limit' });
});
