import type { Refusal } from '#kernel/errors.ts';
import { nearest } from '#kernel/identifier.ts';
import { isLogical, operandsOf, withOperands } from './ast.ts';
import type { Call, Deferred, Node, Path, ResidualNode, Settled } from './ast.ts';
import { chosen, decides, deskFor, keyIn, operate, spendWork } from './operate.ts';
import type { Desk, Eager } from './operate.ts';
import { locating, placeIn, quoted, refusalAt } from './place.ts';
import type { Context, Need, Outcome, Sink, Taint, Value } from './schema.ts';
import type { Template } from './template.ts';
import { dataFrom, trusted, unite, valueOf } from './value.ts';

/** What is looked at for a suggestion: a payload may have very many names, and long ones. */
const comparedNamesMax = 200;
const comparedLengthMax = 64;

interface Run extends Desk {
  readonly context: Context;
  readonly needs: Map<string, Need>;
}

type Reduced = Value | ResidualNode;

/**
 * Phase 1, on the server: evaluates everything except delivery calls. Gives a value, or, where delivery calls remain,
 * a residual for `deliver`. What must not reach `sink` is refused with `expression.forbidden`, an unknown path with
 * `expression.unresolved`, a wrong type with `expression.invalid`, all with the position.
 */
export function evaluate(template: Template, options: { context: Context; sink: Sink }): Outcome {
  const { source, functions, root } = template;
  const run: Run = { ...deskFor(source, functions, options.context.work), context: options.context, needs: new Map() };
  const parts = root.type === 'join' ? root.parts : [root];
  const reduced = parts.map((part) => {
    const result = reduce(run, part);
    checkSink(run, { result, at: part.at, sink: options.sink });
    return result;
  });
  const result = root.type === 'join' ? combine(run, root, reduced) : reduced[0]!;
  if (isValue(result)) return { kind: 'value', value: result };
  const { secrets, untrusted } = taintOf(result);
  const needs = [...run.needs.values()];
  return { kind: 'residual', residual: { version: 1, source, root: result, needs, secrets: [...secrets], untrusted } };
}

function reduce(run: Run, node: Node): Reduced {
  switch (node.type) {
    case 'constant': return valueOf(node.data);
    case 'text': return valueOf(node.text);
    case 'path': return read(run, node);
    case 'conditional': {
      const test = reduce(run, node.test);
      if (isValue(test)) return withTaint(reduce(run, chosen(run, node, test)), test, node.at);
      const branches = [node.then, node.otherwise].map((branch) => residual(reduce(run, branch), branch.at));
      return withOperands(node, [test, ...branches]) as ResidualNode;
    }
    case 'binary': {
      if (!isLogical(node)) break;
      const left = reduce(run, node.left);
      const decided = isValue(left) ? decides(run, node, left) : undefined;
      return decided ?? combine(run, node, [left, reduce(run, node.right)]);
    }
    case 'call':
      if (run.functions.get(node.name)?.phase === 'delivery') return defer(run, node);
  }
  return combine(run, node, operandsOf<Node>(node).map((operand) => reduce(run, operand)));
}

function combine(run: Run, node: Eager<Node>, operands: readonly Reduced[]): Reduced {
  if (operands.every(isValue)) return operate(run, node, operands);
  const written = operandsOf<Node>(node);
  return withOperands(node, operands.map((operand, index) => residual(operand, written[index]!.at))) as ResidualNode;
}

function read(run: Run, node: Path): Value {
  const keys = node.keys.map((key) => {
    if (key.type === 'constant') return locating(run.source, key.at, () => keyIn(key.data));
    return locating(run.source, key.at, () => keyIn(trustedOnly(run, key, 'choose a path').data));
  });
  return locating(run.source, node.at, () => {
    const answer = run.context.lookup(keys);
    if (answer === 'not_yet') return valueOf(null);
    if (answer === 'missing') throw unresolved(run, node, keys);
    return spendWork(run, valueOf(dataFrom(answer.found.data), answer.found));
  });
}

function defer(run: Run, node: Call<Node>): Deferred {
  const args = node.args.map((arg) => trustedOnly(run, arg, `name what \`${node.name}\` delivers`).data);
  const key = JSON.stringify([node.name, args]);
  if (!run.needs.has(key)) {
    const { line, column } = placeIn(run.source, node.at);
    run.needs.set(key, { function: node.name, args, line, column });
  }
  return { type: 'deferred', function: node.name, args, at: node.at };
}

/** What names a secret, a connector, an audience or a path comes from the pipeline's author or the server alone. */
function trustedOnly(run: Run, node: Node, use: string): Value {
  const result = reduce(run, node);
  if (!isValue(result) || result.secrets.size > 0) throw forbidden(run, node.at, `a secret may not ${use}`);
  if (result.untrusted) throw forbidden(run, node.at, `a value from outside may not ${use}`);
  return result;
}

function checkSink(run: Run, { result, at, sink }: { result: Reduced; at: number; sink: Sink }): void {
  if (sink === 'environment') return;
  const where = sink === 'script'
    ? 'become part of a script; set it as an environment variable of the step (`envVariables`) and read that'
    : 'be used here; only the environment of a step receives it';
  const delivery = isValue(result) ? undefined : firstDeferred(result);
  if (delivery !== undefined) {
    throw forbidden(run, delivery.at, `what \`${delivery.function}\` delivers may not ${where}`);
  }
  const taint = isValue(result) ? result : taintOf(result);
  if (taint.secrets.size > 0) throw forbidden(run, at, `a value that derives from a secret may not ${where}`);
  if (sink === 'script' && taint.untrusted) throw forbidden(run, at, `a value from outside may not ${where}`);
}

function forbidden(run: Run, at: number, say: string): Refusal {
  return refusalAt(run.source, at, 'expression.forbidden', say);
}

function unresolved(run: Run, node: Path, keys: readonly (string | number)[]): Refusal {
  let suggestion: string | undefined;
  for (let length = keys.length - 1; length >= 0 && suggestion === undefined; length--) {
    const names = run.context.names?.(keys.slice(0, length)) ?? [];
    if (names.length === 0) continue;
    const key = String(keys[length]);
    const close = key.length > comparedLengthMax ? undefined : nearest(key, names.slice(0, comparedNamesMax));
    if (close === undefined) break;
    suggestion = written([...keys.slice(0, length), close]);
  }
  const say = `${quoted(written(keys))} does not exist`;
  return refusalAt(run.source, node.at, 'expression.unresolved', { say, suggestion });
}

/** A path as one writes it: `steps["build-it"].output`. */
function written(keys: readonly (string | number)[]): string {
  return keys.map((key, index) => {
    if (typeof key === 'number') return `[${key}]`;
    if (!/^[A-Za-z_$][A-Za-z0-9_$]*$/.test(key)) return `[${JSON.stringify(key)}]`;
    return index === 0 ? key : `.${key}`;
  }).join('');
}

function isValue(reduced: Reduced): reduced is Value {
  return !('type' in reduced);
}

function residual(reduced: Reduced, at: number): ResidualNode {
  return isValue(reduced) ? settled(reduced, at) : reduced;
}

function settled({ data, secrets, untrusted }: Value, at: number): Settled {
  return { type: 'settled', data, secrets: [...secrets], untrusted, at };
}

function withTaint(branch: Reduced, { secrets, untrusted }: Taint, at: number): Reduced {
  if (isValue(branch)) return valueOf(branch.data, unite([branch, { secrets, untrusted }]));
  if (secrets.size === 0 && !untrusted) return branch;
  return { type: 'tainted', node: branch, secrets: [...secrets], untrusted, at };
}

function childrenOf(node: ResidualNode): readonly ResidualNode[] {
  if (node.type === 'settled' || node.type === 'deferred') return [];
  return node.type === 'tainted' ? [node.node] : operandsOf<ResidualNode>(node);
}

/** The taints that are known before delivery. */
function taintOf(node: ResidualNode): Taint {
  const own = node.type === 'settled' || node.type === 'tainted'
    ? { secrets: new Set(node.secrets), untrusted: node.untrusted }
    : trusted;
  return unite([own, ...childrenOf(node).map(taintOf)]);
}

function firstDeferred(node: ResidualNode): Deferred | undefined {
  if (node.type === 'deferred') return node;
  for (const child of childrenOf(node)) {
    const found = firstDeferred(child);
    if (found !== undefined) return found;
  }
  return undefined;
}
