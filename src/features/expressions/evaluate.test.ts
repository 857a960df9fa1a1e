import { test } from 'node:test';
import { deepStrictEqual, match, ok, strictEqual, throws } from 'node:assert/strict';
import { Refusal } from '#kernel/errors.ts';
import type { ErrorCode } from '#kernel/errors.ts';
import { evaluate } from './evaluate.ts';
import { contextFrom } from './context.ts';
import { dataIn, functions, outcomeOf } from './example-world.ts';
import { placeOf } from './place.ts';
import type { Data } from './schema.ts';
import { compileTemplate } from './template.ts';

function refused(text: string, code: ErrorCode, say: RegExp): void {
  throws(() => outcomeOf(text), (error: unknown) => {
    ok(error instanceof Refusal, String(error));
    strictEqual(error.code, code);
    match(error.say ?? '', say);
    match(error.say ?? '', /\(line \d+, column \d+: `.*`\)$/);
    ok(placeOf(error) !== undefined);
    return true;
  });
}

const documented: readonly (readonly [string, string, Data])[] = [
  ['a text without expressions is itself', 'echo hello', 'echo hello'],
  ['an empty text is empty', '', ''],
  ['one expression keeps the type of a number', '<+pipeline.sequenceId>', 42],
  ['one expression keeps the type of a boolean', '<+pipeline.ok>', true],
  ['one expression keeps null', '<+pipeline.nothing>', null],
  ['one expression keeps a list', '<+pipeline.regions>', ['eu', 'us', 'ap']],
  ['one expression keeps an object', '<+stage>', { name: 'build', identifier: 'build' }],
  ['text around an expression makes text', 'run-<+pipeline.sequenceId>', 'run-42'],
  ['expressions side by side are concatenated', '<+stage.name><+pipeline.sequenceId>', 'build42'],
  ['white space around one expression makes text', ' <+pipeline.sequenceId>', ' 42'],
  ['null, lists and objects have a text', '<+pipeline.nothing>/<+pipeline.regions>/<+stage>',
    'null/["eu","us","ap"]/{"name":"build","identifier":"build"}'],
  ['a compound expression has an outer delimiter', '<+<+pipeline.name> == "recover">', true],
  ['a nested expression is the same as the path itself', '<+pipeline.name == "recover">', true],
  ['a full path works', '<+pipeline.stages.build.spec.execution.steps.compile.output.outputVariables.TAG>', '1.2.3'],
  ['a stage status can be compared', '<+<+pipeline.stages.build.status> == "SUCCEEDED">', true],
  ['a step that has not run gives null', '<+pipeline.stages.deploy.spec.execution.steps.apply.output.outputVariables.X>', null],
  ['a status that is not there yet is null', '<+pipeline.stages.deploy.status == null>', true],
  ['a hyphen is reached by a quoted index', '<+pipeline.variables["with-hyphen"]>', 'hyphen'],
  ['a blank is reached by a quoted index', "<+pipeline.variables['with space']>", 'space'],
  ['a hyphen is reached by get', '<+pipeline.variables.get("with-hyphen")>', 'hyphen'],
  ['a number indexes a list', '<+pipeline.regions[1]>', 'us'],
  ['get indexes a list', '<+pipeline.regions.get(2)>', 'ap'],
  ['a nested expression may be a segment of a path', '<+pipeline.stages.<+stage.name>.status>', 'SUCCEEDED'],
  ['an expression may be an index', '<+pipeline.stages[stage.name].status>', 'SUCCEEDED'],
  ['strings hold expressions', '<+"<+stage.name>-<+pipeline.sequenceId>">', 'build-42'],
  ['a quoted expression is text', '<+"<+pipeline.sequenceId>">', '42'],
  ['quotes inside an expression inside a string are its own', '<+"<+pipeline.variables.get("region")>">', 'eu-west-1'],
  ['an escaped delimiter is text', '<+"\\<+stage.name>">', '<+stage.name>'],
  ['escapes of a string', '<+"\\"\\\\\\n\\t\\u0041\'">', '"\\\n\tA\''],
  ['single quotes work like double ones', "<+'a\"b'>", 'a"b'],
  ['text is joined by +', '<+stage.name + "-" + pipeline.sequenceId>', 'build-42'],
  ['text is joined by concat', '<+stage.name.concat("-x")>', 'build-x'],
  ['a ternary without blanks', '<+env.type=="Production"?"red":"green">', 'red'],
  ['a ternary with blanks', '<+env.type != "Production" ? "red" : "green">', 'green'],
  ['ternaries follow each other', '<+false ? 1 : false ? 2 : 3>', 3],
  ['only the chosen branch is evaluated', '<+true ? 1 : nowhere.to.be.found>', 1],
  ['a method may follow a nested expression', '<+<+trigger.payload.title>.contains("title")>', true],
  ['membership in a list', '<+env.identifier =~ ["dev", "prod"]>', true],
  ['no membership in an empty list', '<+env.identifier =~ []>', false],
  ['membership in a list made by a method', '<+"b" =~ "a,b".split(",")>', true],
  ['a > with blanks compares', '<+pipeline.sequenceId > 41>', true],
  ['a > in parentheses compares without blanks', '<+(pipeline.sequenceId>41)>', true],
  ['a >= with blanks compares', '<+<+pipeline.sequenceId> >= 43>', false],
  ['a > without a blank before it closes', 'export A_<+stage.name>=1 > file', 'export A_build=1 > file'],
  ['blanks inside the delimiters at the end of a line are allowed', '<+ stage.name >\nnext', 'build\nnext'],
  ['an expression may span lines', '<+stage.name == "build"\n  && pipeline.sequenceId\n  > 5>', true],
  ['values are never evaluated again', '<+"\\<" + "+stage.name>">', '<+stage.name>'],
];

for (const [name, text, expected] of documented) test(name, () => deepStrictEqual(dataIn(text), expected));

const operators: readonly (readonly [string, Data])[] = [
  ['1 + 2 * 3', 7], ['(1 + 2) * 3', 9], ['7 - 2 - 1', 4], ['7 % 4', 3], ['1 / 4', 0.25], ['-2 + 5', 3], ['0 * -1', 0],
  ['"1" + 2', '12'], ['1 + "2"', '12'], ['"a" + null', 'anull'], ['pipeline.variables.count * 2', 20],
  ['1 < 2', true], ['2 <= 2', true], ['"b" < "a"', false], ['pipeline.variables.count < 9', false], ['"10" < "9"', true],
  ['1 == 1.0', true], ['"1" == 1', true], ['"1.0" == 1', false], ['"true" == true', true], ['null == null', true],
  ['null == "null"', false], ['null == false', false], ['0 == false', false], ['"" == null', false], ['"" == 0', false],
  ['[1, 2] == [1, 2]', true], ['[1, 2] == [2, 1]', false], ['[1] == 1', false], ['stage == stage', true],
  ['stage == env', false], ['stage != env', true], ['[] == json.object("{}")', false],
  ['true || false && false', true], ['!true || true', true], ['!(true || true)', false], ['!false == true', true],
  ['1 < 2 == true', true], ['1 + 1 == 2 && 2 > 1', true], ['true ? 1 : 2 + 3', 1], ['false || false ? 1 : 2', 2],
  ['"true" && true', true], ['pipeline.variables.flag ? 1 : 2', 1], ['false && nowhere.at.all', false],
  ['true || nowhere.at.all', true], ['- - 3', 3], ['"a" =~ ["b", "a"] == true', true], ['5 =~ ["5"]', true],
  ['1e3', 1000], ['2.5', 2.5], ['[1, "a", null, [true]]', [1, 'a', null, [true]]],
];

for (const [text, expected] of operators) {
  test(`${text} is ${JSON.stringify(expected)}`, () => deepStrictEqual(dataIn(`<+${text}>`), expected));
}

const methods: readonly (readonly [string, Data])[] = [
  ['"a,b,,c".split(",")', ['a', 'b', '', 'c']], ['pipeline.variables.dotted.split(".")[1]', 'b'], ['"abc".split("x")', ['abc']],
  ['"abc".contains("bc")', true], ['"abc".contains("")', true], ['"abc".contains("x")', false], ['"a1".contains(1)', true],
  ['"AbC".toLowerCase()', 'abc'], ['"AbC".toUpperCase()', 'ABC'],
  ['"a.b.c".replace(".", "-")', 'a-b-c'], ['"aaa".replace("aa", "b")', 'ba'], ['"abc".replace("x", "y")', 'abc'],
  ['"a$b".replace("$", "$&")', 'a$&b'], ['"abcabcabc".replace("abcab", "x")', 'xcabc'],
  ['"a".concat("b").concat(1)', 'ab1'], ['"abc".length()', 3], ['"abc".size()', 3], ['"  a ".trim()', 'a'],
  ['"abc".startsWith("ab")', true], ['"abc".endsWith("ab")', false], ['"abc".substring(1)', 'bc'],
  ['"abc".substring(1, 2)', 'b'], ['"abc".substring(3)', ''], ['"abc".indexOf("c")', 2], ['"abc".indexOf("x")', -1],
  ['"".isEmpty()', true], ['"a".isEmpty()', false], ['null.isEmpty()', true], ['[].isEmpty()', true],
  ['json.object("{}").isEmpty()', true], ['stage.size()', 2],
  ['[1, 2].size()', 2], ['[1, 2].contains(2)', true], ['["1"].contains(1)', true], ['[1, 2].contains(3)', false],
  ['[1, "a", null].join("-")', '1-a-null'], ['[].join("-")', ''], ['[1, 2].get(1)', 2], ['[[1, 2]][0][1]', 2],
  ['"a-b".split("-").get(1).toUpperCase()', 'B'], ['(stage).name', 'build'], ['json.object("{\\"a\\": {\\"b\\": 1}}").a.b', 1],
];

for (const [text, expected] of methods) {
  test(`${text} gives ${JSON.stringify(expected)}`, () => deepStrictEqual(dataIn(`<+${text}>`), expected));
}

const refusals: readonly (readonly [string, string, ErrorCode, RegExp])[] = [
  ['an unknown path names the nearest one', '<+pipeline.nam>', 'expression.unresolved', /`pipeline\.nam` does not exist; did you mean `pipeline\.name`\?/],
  ['an unknown root names the nearest one', '<+pipline.name>', 'expression.unresolved', /did you mean `pipeline`\?/],
  ['an unknown middle names the nearest one', '<+pipeline.stages.buld.status>', 'expression.unresolved', /did you mean `pipeline\.stages\.build`\?/],
  ['where nothing is near, nothing is suggested', '<+pipeline.zzzzzz>', 'expression.unresolved', /^`pipeline\.zzzzzz` does not exist \(line/],
  ['the innermost place is the one that is named', '<+pipeline["a" + nowhere]>', 'expression.unresolved', /^`nowhere` does not exist \(line 1, column 18: [^(]*$/],
  ['a strange key is shown quoted', '<+pipeline["no\\u001b`such"].x>', 'expression.unresolved', /`pipeline\["no\\u001b'such"\]\.x`/],
  ['nothing below a text', '<+pipeline.name.first>', 'expression.unresolved', /`pipeline\.name\.first`/],
  ['nothing below null', '<+pipeline.nothing.x>', 'expression.unresolved', /does not exist/],
  ['no index beyond a list', '<+pipeline.regions[3]>', 'expression.unresolved', /`pipeline\.regions\[3\]`/],
  ['no member of a computed value that lacks it', '<+[1][1]>', 'expression.unresolved', /a list has no value at this index/],
  ['no name in a computed object that lacks it', '<+json.object("{}").a>', 'expression.unresolved', /an object has no value at this name/],
  ['a path may not be chosen from outside', '<+pipeline.stages[trigger.payload.branch]>', 'expression.forbidden', /from outside may not choose a path/],
  ['a path may not be chosen by a secret', '<+pipeline.stages[outputs.fromSecret]>', 'expression.forbidden', /a secret may not choose a path/],
  ['a path may not be chosen by a delivery', '<+pipeline.get(secrets.getValue("x"))>', 'expression.forbidden', /a secret may not choose a path/],
  ['an index is not negative', '<+pipeline.regions[-1]>', 'expression.invalid', /whole number from 0/],
  ['an index is not a fraction', '<+pipeline.regions[0.5]>', 'expression.invalid', /whole number from 0/],
  ['an index is not a boolean', '<+pipeline.regions[true]>', 'expression.invalid', /whole number from 0/],
  ['null is no condition', '<+pipeline.nothing ? 1 : 2>', 'expression.invalid', /not null; compare it with `== null` first/],
  ['null is not negated', '<+!pipeline.nothing>', 'expression.invalid', /must be true or false/],
  ['null on the right of && is no condition', '<+true && pipeline.nothing>', 'expression.invalid', /must be true or false/],
  ['a number is no condition', '<+1 && true>', 'expression.invalid', /must be true or false, not a number/],
  ['text is no condition', '<+"yes" ? 1 : 2>', 'expression.invalid', /not a string/],
  ['a list is no condition', '<+[] || true>', 'expression.invalid', /not a list/],
  ['division by zero', '<+1 / 0>', 'expression.invalid', /divided by zero/],
  ['remainder of zero', '<+1 % 0>', 'expression.invalid', /divided by zero/],
  ['arithmetic with text', '<+"a" * 2>', 'expression.invalid', /`\*` takes numbers, not a string/],
  ['arithmetic with null', '<+1 + null>', 'expression.invalid', /`\+` takes numbers, not null/],
  ['arithmetic with a boolean', '<+true - 1>', 'expression.invalid', /not true or false/],
  ['arithmetic beyond all numbers', '<+1e308 * 10>', 'expression.invalid', /not a number/],
  ['hexadecimal text is no number', '<+"0x10" * 1>', 'expression.invalid', /takes numbers/],
  ['order of text and null', '<+"a" < null>', 'expression.invalid', /a string and null have no order/],
  ['order of booleans', '<+true < false>', 'expression.invalid', /no order/],
  ['=~ with a text that is computed', '<+"a" =~ pipeline.name>', 'expression.invalid', /`=~` takes a list, not a string; patterns are not supported yet/],
  ['=~ with null', '<+"a" =~ null>', 'expression.invalid', /takes a list, not null/],
  ['a method on the wrong type', '<+pipeline.sequenceId.toLowerCase()>', 'expression.invalid', /`toLowerCase\(\)` is not offered on a number/],
  ['a list method on text', '<+"a".join("x")>', 'expression.invalid', /`join\(\)` is not offered on a string/],
  ['a text method on null', '<+pipeline.nothing.trim()>', 'expression.invalid', /not offered on null/],
  ['a list as the argument of a text method', '<+"a".concat([1])>', 'expression.invalid', /`concat\(\)` takes text, not a list/],
  ['null as the argument of a text method', '<+"a".contains(null)>', 'expression.invalid', /takes text, not null/],
  ['an empty separator', '<+"a".split("")>', 'expression.invalid', /empty text/],
  ['an empty search', '<+"a".replace("", "x")>', 'expression.invalid', /empty text/],
  ['a substring beyond the text', '<+"abc".substring(4)>', 'expression.invalid', /inside the text/],
  ['a substring backwards', '<+"abc".substring(2, 1)>', 'expression.invalid', /inside the text/],
  ['a negative substring', '<+"abc".substring(-1)>', 'expression.invalid', /inside the text/],
  ['a substring by text', '<+"abc".substring("1")>', 'expression.invalid', /inside the text/],
];

for (const [name, text, code, say] of refusals) test(`refused: ${name}`, () => refused(text, code, say));

const attacks: readonly (readonly [string, string, ErrorCode])[] = [
  ['constructor of a text', '<+pipeline.name.constructor>', 'expression.unresolved'],
  ['constructor of an object', '<+stage.constructor>', 'expression.unresolved'],
  ['constructor by index', '<+stage["constructor"]["constructor"]>', 'expression.unresolved'],
  ['constructor by get', '<+stage.get("constructor")>', 'expression.unresolved'],
  ['constructor of a computed object', '<+json.object("{}").constructor>', 'expression.unresolved'],
  ['constructor of a computed text', '<+"a".trim().constructor>', 'expression.unresolved'],
  ['constructor of a list literal', '<+[1].constructor>', 'expression.unresolved'],
  ['constructor as a method', '<+"a".constructor("return process")>', 'expression.invalid'],
  ['constructor as a function', '<+constructor("x")>', 'expression.invalid'],
  ['constructor as a root', '<+constructor>', 'expression.unresolved'],
  ['__proto__ of the context', '<+__proto__>', 'expression.unresolved'],
  ['__proto__ of an object', '<+stage.__proto__.x>', 'expression.unresolved'],
  ['__proto__ of a list', '<+pipeline.regions["__proto__"]>', 'expression.unresolved'],
  ['__proto__ planted in JSON', '<+json.object("{\\"__proto__\\": {\\"a\\": 1}}")["__proto__"]>', 'expression.unresolved'],
  ['__proto__ planted in JSON, seen from its victim', '<+json.object("{\\"__proto__\\": {\\"a\\": 1}}").a>', 'expression.unresolved'],
  ['prototype methods of objects', '<+stage.hasOwnProperty("name")>', 'expression.invalid'],
  ['__defineGetter__ as a method', '<+stage.__defineGetter__("a", "b")>', 'expression.invalid'],
  ['toString as a method', '<+pipeline.sequenceId.toString()>', 'expression.invalid'],
  ['valueOf as a name', '<+pipeline.ok.valueOf>', 'expression.unresolved'],
  ['length of a list as a member', '<+pipeline.regions.length>', 'expression.unresolved'],
  ['length of a computed list as a member', '<+[1].length>', 'expression.unresolved'],
  ['a list read by text that spells an index', '<+pipeline.regions["0"]>', 'expression.unresolved'],
  ['calling what an index gives', '<+stage["name"]("x")>', 'expression.invalid'],
  ['calling a string', '<+"a"("x")>', 'expression.invalid'],
  ['a template literal', '<+`a`>', 'expression.invalid'],
  ['an object literal', '<+{a: 1}>', 'expression.invalid'],
  ['an assignment', '<+pipeline.name = "x">', 'expression.invalid'],
  ['an arrow function', '<+() => 1>', 'expression.invalid'],
  ['a statement', '<+1; 2>', 'expression.invalid'],
];

for (const [name, text, code] of attacks) test(`attack: ${name} is out of reach`, () => refused(text, code, /./));

test('attack: __proto__ in an own member of JSON is dropped, the rest stays', () => {
  deepStrictEqual(dataIn('<+json.object("{\\"__proto__\\": {\\"a\\": 1}, \\"b\\": 2}")>'), { b: 2 });
  const parsed = evaluate(
    compileTemplate('<+payload>', { functions }),
    { context: contextFrom(JSON.parse('{"payload": {"__proto__": {"admin": true}, "b": [{}]}}') as Data), sink: 'plain' },
  );
  ok(parsed.kind === 'value');
  const data = parsed.value.data as { b: readonly object[] };
  strictEqual(Object.getPrototypeOf(data), null);
  strictEqual(Object.getPrototypeOf(data.b[0]), null);
  deepStrictEqual(Object.keys(data), ['b']);
});

test('attack: a value that spells an expression stays text', () => {
  const hostile = contextFrom({ branch: '<+secrets.getValue("db_password")>' });
  const outcome = evaluate(compileTemplate('git checkout <+branch>', { functions }), { context: hostile, sink: 'environment' });
  ok(outcome.kind === 'value');
  strictEqual(outcome.value.data, 'git checkout <+secrets.getValue("db_password")>');
});

test('an error never shows the value it is about', () => {
  const hostile = contextFrom({ token: 'hunter2', list: ['hunter2'], object: { hunter2: 'hunter2' } });
  const wrong = ['token * 2', 'token && true', '"a" =~ token', 'token.join("x")', '"a".concat(list)', 'json.object(token)',
    'json.select(token, object)[token].x', 'object < token', 'json.select("a..b", token)', '"a".substring(token)'];
  for (const text of wrong) {
    throws(
      () => evaluate(compileTemplate(`<+${text}>`, { functions }), { context: hostile, sink: 'environment' }),
      (error: unknown) => error instanceof Refusal && !JSON.stringify([error.say, error.message, error.evidence]).includes('hunter2'),
      text,
    );
  }
});
