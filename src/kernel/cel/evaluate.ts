/**
 * Syntax tree → a function. Every part costs a step, so the budget bounds any expression over any values. What fails stays
 * `failed` until `&&`, `||`, `?:` or a quantifier has an answer without it, as CEL says; nothing is thrown but the end of
 * the budget.
 */
import { celFunctions } from './functions.ts';
import type { Pattern } from './pattern.ts';
import type { Node } from './syntax.ts';
import type { Arithmetic, Present, Steps, Value } from './values.ts';
import { anything, calculate, failed, isEqual, isFields, isList, member, namesOf, order, present, whole } from './values.ts';
import { isBooleanOrOpen, joined, negated } from './truth.ts';

export interface Scope {
  readonly variables: Readonly<Record<string, unknown>>;
  readonly steps: Steps;
  /** There is one comprehension at a time. */
  item: Value;
}

export type Run = (scope: Scope) => Value;

/** Of a tree that `readLanguage` found no fault with. */
export function compileTree(root: Node, patterns: ReadonlyMap<Node, Pattern>): Run {
  return compile(root, { patterns, item: null });
}

interface Inside {
  readonly patterns: ReadonlyMap<Node, Pattern>;
  /** The name for the item of a comprehension. */
  readonly item: string | null;
}

function compile(node: Node, inside: Inside): Run {
  const run = runOf(node, inside);
  return (scope) => {
    scope.steps.spend(1);
    return run(scope);
  };
}

function runOf(node: Node, inside: Inside): Run {
  const part = (each: Node) => compile(each, inside);
  switch (node.op) {
    case 'value':
      return constant(node.args as Present);
    case 'id':
      return node.args === inside.item ? (scope) => scope.item : variable(node.args);
    case '.':
      return strict([part(node.args[0]), constant(node.args[1])], (_steps, of, key) => member(of!, key!));
    case '[]':
      return strict(node.args.map(part), (_steps, of, key) => member(of!, key!));
    case 'list':
      return strict(node.args.map(part), (_steps, ...items) => items);
    case 'call':
      return call(node, node.args[0], node.args[1], inside);
    case 'rcall':
      return method(node.args, inside);
    case '?:':
      return choice(part(node.args[0]), part(node.args[1]), part(node.args[2]));
    case '&&':
    case '||':
      return junction(node.op === '||', part(node.args[0]), part(node.args[1]));
    case '!_':
      return negation(part(node.args));
    case '-_':
      return strict([part(node.args)], (_steps, value) => (typeof value === 'bigint' ? whole(-value) : typeof value === 'number' ? -value : failed));
    default:
      return binary(node, inside);
  }
}

function constant(value: Present): Run {
  return () => value;
}

function variable(name: string): Run {
  return ({ variables }) => (Object.hasOwn(variables, name) ? present(variables[name]) : failed);
}

/** Has a value only if every part has one. One and two parts are most of what runs, so they go without a list. */
function strict(parts: readonly Run[], apply: (steps: Steps, ...values: readonly Present[]) => Value): Run {
  const [first, second] = parts;
  if (parts.length === 1) {
    return (scope) => {
      const value = first!(scope);
      if (typeof value === 'symbol') return value === failed ? failed : anything;
      return apply(scope.steps, value);
    };
  }
  if (parts.length === 2) {
    return (scope) => {
      const a = first!(scope);
      if (a === failed) return failed;
      const b = second!(scope);
      if (b === failed) return failed;
      return typeof a === 'symbol' || typeof b === 'symbol' ? anything : apply(scope.steps, a, b);
    };
  }
  return (scope) => {
    const values = parts.map((part) => part(scope));
    if (values.includes(failed)) return failed;
    return values.some((value) => typeof value === 'symbol') ? anything : apply(scope.steps, ...(values as Present[]));
  };
}

function binary(node: Node, inside: Inside): Run {
  const [left, right] = node.args as readonly [Node, Node];
  return strict([compile(left, inside), compile(right, inside)], operator(node.op));
}

function operator(op: string): (steps: Steps, ...values: readonly Present[]) => Value {
  switch (op) {
    case '==':
      return (steps, a, b) => isEqual(a!, b!, steps);
    case '!=':
      return (steps, a, b) => !isEqual(a!, b!, steps);
    case 'in':
      return (steps, a, b) => isIn(a!, b!, steps);
    case '<':
      return ordered((sign) => sign < 0);
    case '<=':
      return ordered((sign) => sign <= 0);
    case '>':
      return ordered((sign) => sign > 0);
    case '>=':
      return ordered((sign) => sign >= 0);
    case '+':
      return (steps, a, b) => sum(a!, b!, steps);
    default:
      return (_steps, a, b) => calculate(op as Arithmetic, a!, b!);
  }
}

function ordered(holds: (sign: number) => boolean): (steps: Steps, ...values: readonly Present[]) => Value {
  return (steps, a, b) => {
    const sign = order(a!, b!, steps);
    return sign === null ? failed : holds(sign);
  };
}

function isIn(value: Present, of: Present, steps: Steps): Value {
  if (isList(of)) return of.some((item) => isEqual(present(item), value, steps));
  return isFields(of) && typeof value === 'string' ? member(of, value) !== failed : failed;
}

function sum(a: Present, b: Present, steps: Steps): Value {
  if (typeof a === 'string' && typeof b === 'string') {
    steps.spendOnText(a.length + b.length);
    return a + b;
  }
  if (isList(a) && isList(b)) {
    steps.spend(a.length + b.length);
    return [...a, ...b];
  }
  return calculate('+', a, b);
}

/** `&&` and `||` have an answer as soon as one side gives it, on whichever side something fails. */
function junction(decisive: boolean, left: Run, right: Run): Run {
  return (scope) => {
    const a = left(scope);
    if (a === decisive) return decisive;
    const b = right(scope);
    return joined([a, b], decisive);
  };
}

function negation(of: Run): Run {
  return (scope) => negated(of(scope));
}

function choice(condition: Run, yes: Run, no: Run): Run {
  return (scope) => {
    const answer = condition(scope);
    if (typeof answer === 'boolean') return (answer ? yes : no)(scope);
    return typeof answer === 'symbol' && answer !== failed ? anything : failed;
  };
}

function call(node: Node, name: string, args: readonly Node[], inside: Inside): Run {
  if (name === 'has') return has(args[0]!, inside);
  const parts = args.map((arg) => compile(arg, inside));
  const pattern = inside.patterns.get(node);
  if (pattern === undefined) return strict(parts, celFunctions.get(name)!.run);
  return strict(parts.slice(0, 1), (steps, text) => {
    if (typeof text !== 'string') return failed;
    steps.spend(Math.ceil((text.length * pattern.size) / 4));
    return pattern.matches(text);
  });
}

function has(field: Node, inside: Inside): Run {
  const [of, name] = field.args as readonly [Node, string];
  return strict([compile(of, inside)], (_steps, fields) => (isFields(fields!) ? member(fields, name) !== failed : failed));
}

function method([name, on, args]: readonly [string, Node, readonly Node[]], inside: Inside): Run {
  if (celFunctions.has(name)) return strict([on, ...args].map((each) => compile(each, inside)), celFunctions.get(name)!.run);
  const within: Inside = { ...inside, item: (args[0] as Node & { readonly op: 'id' }).args };
  const parts = args.slice(1).map((each) => compile(each, within));
  const over = compile(on, inside);
  return (scope) => {
    const through = over(scope);
    if (typeof through === 'symbol') return through === failed ? failed : anything;
    if (isList(through)) return comprehend(name, through, parts, scope);
    return isFields(through) ? comprehend(name, namesOf(through), parts, scope) : failed;
  };
}

function comprehend(name: string, items: readonly unknown[], parts: readonly Run[], scope: Scope): Value {
  const [first, second] = parts;
  switch (name) {
    case 'all':
    case 'exists':
      return quantified(name === 'exists', items, first!, scope);
    case 'exists_one':
      return ifKnown(chosen(items, first!, scope), (found) => found.length === 1);
    case 'filter':
      return chosen(items, first!, scope);
    default:
      return second === undefined ? mapped(items, first!, scope) : ifKnown(chosen(items, first!, scope), (found) => mapped(found, second, scope));
  }
}

function quantified(decisive: boolean, items: readonly unknown[], holds: Run, scope: Scope): Value {
  const answers: Value[] = [];
  for (const item of items) {
    const answer = runFor(item, holds, scope);
    if (answer === decisive) return decisive;
    answers.push(answer);
  }
  return joined(answers, decisive);
}

function chosen(items: readonly unknown[], holds: Run, scope: Scope): Value {
  const answers = items.map((item) => runFor(item, holds, scope));
  if (!answers.every(isBooleanOrOpen)) return failed;
  return answers.some((answer) => typeof answer === 'symbol') ? anything : items.filter((_item, i) => answers[i] === true);
}

function mapped(items: readonly unknown[], to: Run, scope: Scope): Value {
  const values = items.map((item) => runFor(item, to, scope));
  if (values.includes(failed)) return failed;
  return values.some((value) => typeof value === 'symbol') ? anything : values;
}

function runFor(item: unknown, run: Run, scope: Scope): Value {
  scope.item = present(item);
  return run(scope);
}

function ifKnown(value: Value, then: (items: readonly unknown[]) => Value): Value {
  return isList(value) ? then(value) : value;
}
