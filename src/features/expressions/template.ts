import { operandsOf } from './ast.ts';
import type { Call, Node } from './ast.ts';
import { templateBytesMax } from './limits.ts';
import { parse } from './parse.ts';
import { placeIn, refusalAt } from './place.ts';
import type { Base, Data, FunctionTable, Need, Source } from './schema.ts';

const compiled = Symbol('compiled');

/** A checked text with embedded `<+…>`. Only `compileTemplate` makes one; `evaluate` is what reads it. */
export interface Template {
  readonly [compiled]: true;
  readonly source: Source;
  readonly functions: FunctionTable;
  readonly root: Node;
}

/**
 * Compiles a text once, for any number of evaluations. `base` is where the text starts in its file (default 1:1), so
 * that errors point there. Refuses with `expression.invalid` or `expression.limit`, always with the position.
 */
export function compileTemplate(text: string, options: { functions: FunctionTable; base?: Base }): Template {
  const source: Source = { text, base: options.base ?? { line: 1, column: 1 } };
  if (Buffer.byteLength(text) > templateBytesMax) {
    const say = `a text with expressions may have ${templateBytesMax / 1024} KiB`;
    throw refusalAt(source, 0, 'expression.limit', say);
  }
  return { [compiled]: true, source, functions: options.functions, root: parse(source, options.functions) };
}

/**
 * The delivery calls whose arguments are written out, found without evaluating anything. For checks at a pipeline's
 * start, when a later step's expressions have no values yet. Calls with computed arguments are not in the list.
 */
export function writtenNeeds(template: Template): readonly Need[] {
  return deliveryCalls(template).flatMap((call) => {
    const args = constantArguments(call);
    const { line, column } = placeIn(template.source, call.at);
    return args === undefined ? [] : [{ function: call.name, args, line, column }];
  });
}

/** Whether anything of it is known only at delivery, whatever its conditions turn out to be. */
export function callsDelivery(template: Template): boolean {
  return deliveryCalls(template).length > 0;
}

function deliveryCalls({ root, functions }: Template): readonly Call<Node>[] {
  const calls: Call<Node>[] = [];
  const waiting: Node[] = [root];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (node.type === 'constant' || node.type === 'text') continue;
    if (node.type === 'call' && functions.get(node.name)?.phase === 'delivery') calls.push(node);
    waiting.push(...(node.type === 'path' ? node.keys : operandsOf<Node>(node)));
  }
  return calls.reverse();
}

function constantArguments({ args }: Call<Node>): readonly Data[] | undefined {
  const constants = args.map((arg) => (arg.type === 'constant' ? arg.data : undefined));
  return constants.every((constant) => constant !== undefined) ? constants : undefined;
}
