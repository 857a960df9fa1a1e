/**
 * Text → syntax tree, and the check of types. The only file that knows the library: it reads and checks, and never
 * evaluates (docs/decisions/0012).
 */
import { Environment } from '@marcbachmann/cel-js';
import type { ASTNode } from '@marcbachmann/cel-js';

export type Node = ASTNode;

export type CelType = 'string' | 'dyn' | 'list<string>' | 'map<string, string>' | 'map<string, dyn>';

/** What an expression may name: a value of a type, or an object of which only these fields exist. */
export type CelVariables = Readonly<Record<string, CelType | Readonly<Record<string, CelType>>>>;

export interface CelFault {
  /** Both from 1; the column counts UTF-16 code units. */
  readonly line: number;
  readonly column: number;
  readonly message: string;
  readonly suggestion?: string;
}

export const celLimits = { characters: 2_000, nodes: 300, depth: 20, listElements: 100, callArguments: 8 } as const;

const environments = new WeakMap<CelVariables, Environment>();

/** Where something goes wrong in a source, in words and numbers. */
export function faultAt(source: string, offset: number, message: string, suggestion?: string): CelFault {
  const before = source.slice(0, offset).split('\n');
  return { line: before.length, column: before.at(-1)!.length + 1, message, ...(suggestion === undefined ? {} : { suggestion }) };
}

export function parseSyntax(source: string, variables: CelVariables): Node | CelFault {
  if (source.length > celLimits.characters) return faultAt(source, celLimits.characters, `an expression has at most ${celLimits.characters} characters`);
  try {
    return environmentOf(variables).parse(source).ast;
  } catch (error) {
    return faultOf(source, error);
  }
}

/** Null when every type fits and the whole is true or false. Checks a tree of its own, which it leaves marked. */
export function typeFault(source: string, variables: CelVariables): CelFault | null {
  const { valid, type, error } = environmentOf(variables).check(source);
  if (!valid) return faultOf(source, error);
  if (type === 'bool') return null;
  const what = type === 'dyn' ? 'a value whose type nobody knows' : `a ${type}`;
  return faultAt(source, 0, `the whole must be true or false, and this is ${what}; compare it with something`);
}

function environmentOf(variables: CelVariables): Environment {
  let environment = environments.get(variables);
  if (environment === undefined) environments.set(variables, (environment = newEnvironment(variables)));
  return environment;
}

/** Whoever writes a condition on a number of JSON does not know whether it counts as whole, so both kinds go together. */
const mixedNumbers = ['int == double', 'double % double', ...['+', '-', '*', '/', '%'].flatMap((sign) => [`int ${sign} double: double`, `double ${sign} int: double`])];

function newEnvironment(variables: CelVariables): Environment {
  const limits = { maxAstNodes: celLimits.nodes, maxDepth: celLimits.depth, maxListElements: celLimits.listElements, maxCallArguments: celLimits.callArguments };
  const environment = new Environment({ limits, homogeneousAggregateLiterals: false }).registerFunction('re2(string, string): bool', () => false);
  for (const signature of mixedNumbers) environment.registerOperator(signature, () => false);
  for (const [name, type] of Object.entries(variables)) {
    if (typeof type === 'string') environment.registerVariable(name, type);
    else environment.registerVariable({ name, schema: type });
  }
  return environment;
}

const remedies: Readonly<Record<string, string>> = {
  limit_exceeded: `an expression has at most ${celLimits.nodes} parts, ${celLimits.depth} levels and lists of ${celLimits.listElements}; use \`where\`, or several selectors`,
  no_such_overload: 'both sides must be of one type; a number without a point is an `int`',
  no_matching_overload: 'give it values of the types it takes',
  invalid_logical_operand: '`&&` and `||` join comparisons',
  invalid_condition_type: 'it must be true or false',
  invalid_macro_argument: '`has` takes a field such as `has(claims.ref)`, `exists` and its like a name and a condition',
  incompatible_ternary_branches: 'both answers must be of one type',
  invalid_comprehension_range: 'it goes through lists and maps',
};

/** The library's own errors have a summary, a code and a place; anything else is a defect of it, which is a fault here. */
function faultOf(source: string, error: unknown): CelFault {
  const { summary, code, range } = error as { readonly summary?: string; readonly code?: string; readonly range?: { readonly start: number } };
  const remedy = remedies[code ?? ''];
  const said = (summary ?? 'cannot be read').replaceAll('$', '');
  return faultAt(source, range?.start ?? 0, `${said[0]!.toLowerCase()}${said.slice(1)}${remedy === undefined ? '' : `: ${remedy}`}`);
}
