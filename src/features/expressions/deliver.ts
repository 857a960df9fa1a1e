import { assert } from '#kernel/errors.ts';
import { isLogical, operandsOf } from './ast.ts';
import type { Deferred, ResidualNode } from './ast.ts';
import { chosen, decides, deskFor, operate } from './operate.ts';
import type { Desk } from './operate.ts';
import { located, placeIn, refusalAt } from './place.ts';
import type { FunctionTable, Residual, Resolver, Value, Work } from './schema.ts';
import { dataFrom, unite, valueOf } from './value.ts';

interface Run extends Desk {
  readonly resolve: Resolver;
  /** Calls already answered: the same call twice in one expression is one token. */
  readonly answers: Map<string, Value>;
}

/**
 * Phase 2, for the one attempt that receives the value: makes the delivery calls that turn out to be needed, one
 * after the other, each at most once, and finishes the evaluation. The result carries the taints of what was
 * delivered. Refusals of the resolver keep their code and get the position of the call. `work`: what several deliveries may
 * read together.
 */
export async function deliver(
  residual: Residual, options: { functions: FunctionTable; resolve: Resolver; work?: Work },
): Promise<Value> {
  assert(residual.version === 1, `a residual of version ${residual.version}`);
  const { functions, resolve, work } = options;
  const run: Run = { ...deskFor(residual.source, functions, work), resolve, answers: new Map() };
  return settle(run, residual.root as ResidualNode);
}

async function settle(run: Run, node: ResidualNode): Promise<Value> {
  switch (node.type) {
    case 'settled':
      return { data: dataFrom(node.data), secrets: new Set(node.secrets), untrusted: node.untrusted };
    case 'deferred': return answer(run, node);
    case 'tainted': {
      const inner = await settle(run, node.node);
      return valueOf(inner.data, unite([inner, { secrets: new Set(node.secrets), untrusted: node.untrusted }]));
    }
    case 'conditional': {
      const test = await settle(run, node.test);
      const branch = await settle(run, chosen(run, node, test));
      return valueOf(branch.data, unite([test, branch]));
    }
    case 'binary': {
      if (!isLogical(node)) break;
      const left = await settle(run, node.left);
      return decides(run, node, left) ?? operate(run, node, [left, await settle(run, node.right)]);
    }
  }
  const operands: Value[] = [];
  for (const operand of operandsOf<ResidualNode>(node)) operands.push(await settle(run, operand));
  return operate(run, node, operands);
}

async function answer(run: Run, node: Deferred): Promise<Value> {
  const key = JSON.stringify([node.function, node.args]);
  const known = run.answers.get(key);
  if (known !== undefined) return known;
  if (run.functions.get(node.function)?.phase !== 'delivery') {
    throw refusalAt(run.source, node.at, 'expression.unresolved', `the function \`${node.function}\` is not offered`);
  }
  const { line, column } = placeIn(run.source, node.at);
  try {
    const delivered = await run.resolve({ function: node.function, args: node.args, line, column });
    assert(delivered.secrets.size > 0, `\`${node.function}\` delivered a value that names no secret`);
    const value = valueOf(dataFrom(delivered.data), delivered);
    run.answers.set(key, value);
    return value;
  } catch (error) {
    throw located(run.source, node.at, error);
  }
}
