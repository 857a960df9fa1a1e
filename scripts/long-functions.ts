import type { Node } from 'oxc-parser';
import { walk } from './source.ts';
import type { Source } from './source.ts';

export interface LongFunction {
  readonly line: number;
  readonly lines: number;
}

const functions = ['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression'];

/**
 * Functions with more lines of their own than `maxLines`. Lines of functions inside, blank lines and comments do not
 * count: what returns ten small functions is not one long one.
 */
export function longFunctions(source: Source, maxLines: number): LongFunction[] {
  const own = new Map<Node, Set<number>>();
  const code = linesOfCode(source.text);
  walk(source.program, (node, around) => {
    if (!functions.includes(node.type)) return;
    const first = source.lineAt(node.start);
    const last = source.lineAt(node.end);
    const lines = range(first, last).filter((line) => code.has(line));
    own.set(node, new Set(lines));
    const outer = around.findLast((one) => own.has(one));
    const outerLines = outer && own.get(outer);
    for (const line of lines) if (line > first) outerLines?.delete(line);
  });
  return [...own].filter(([, lines]) => lines.size > maxLines).map(([node, { size }]) => ({ line: source.lineAt(node.start), lines: size }));
}

function linesOfCode(text: string): Set<number> {
  const numbered = text.split('\n').map((line, at) => [line.trim(), at + 1] as const);
  return new Set(numbered.filter(([line]) => line !== '' && !/^(\/\/|\/?\*)/.test(line)).map(([, number]) => number));
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, at) => first + at);
}
