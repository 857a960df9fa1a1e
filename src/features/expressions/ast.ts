import type { Data } from './schema.ts';

/**
 * The syntax tree. The operations are generic in their operands, so that the tree of a template (`Node`) and what is
 * left of it for delivery (`ResidualNode`) are the same shapes over different leaves. `at` is an offset in the source.
 */
export type UnaryOperator = '!' | '-';
export type BinaryOperator =
  | '||' | '&&' | '==' | '!=' | '=~' | '<' | '<=' | '>' | '>=' | '+' | '-' | '*' | '/' | '%';

interface Member<N> { readonly type: 'member'; readonly target: N; readonly key: N; readonly at: number }
interface Method<N> {
  readonly type: 'method'; readonly target: N; readonly name: string; readonly args: readonly N[]; readonly at: number;
}
export interface Call<N> {
  readonly type: 'call'; readonly name: string; readonly args: readonly N[]; readonly at: number;
}
interface List<N> { readonly type: 'list'; readonly items: readonly N[]; readonly at: number }
interface Unary<N> {
  readonly type: 'unary'; readonly operator: UnaryOperator; readonly operand: N; readonly at: number;
}
export interface Binary<N> {
  readonly type: 'binary'; readonly operator: BinaryOperator; readonly left: N; readonly right: N; readonly at: number;
}
export interface Conditional<N> {
  readonly type: 'conditional'; readonly test: N; readonly then: N; readonly otherwise: N; readonly at: number;
}
/** Pieces one after the other, as text. */
interface Join<N> { readonly type: 'join'; readonly parts: readonly N[]; readonly at: number }

export type Operation<N> =
  | Member<N> | Method<N> | Call<N> | List<N> | Unary<N> | Binary<N> | Conditional<N> | Join<N>;

export interface Constant {
  readonly type: 'constant'; readonly data: null | boolean | number | string; readonly at: number;
}
/** A piece of plain text between expressions. */
export interface Text { readonly type: 'text'; readonly text: string; readonly at: number }
/** A path into the context. The first key is the constant name of the root. */
export interface Path { readonly type: 'path'; readonly keys: readonly Node[]; readonly at: number }

export type Node =
  | Constant | Text | Path
  | Member<Node> | Method<Node> | Call<Node> | List<Node> | Unary<Node> | Binary<Node> | Conditional<Node> | Join<Node>;

/** A value that is known before delivery. */
export interface Settled {
  readonly type: 'settled'; readonly data: Data; readonly secrets: readonly string[]; readonly untrusted: boolean;
  readonly at: number;
}
/** A delivery call with its evaluated arguments. */
export interface Deferred {
  readonly type: 'deferred'; readonly function: string; readonly args: readonly Data[]; readonly at: number;
}
/** Adds the taints of a condition that is already decided to the branch it chose. */
interface Tainted {
  readonly type: 'tainted'; readonly node: ResidualNode; readonly secrets: readonly string[];
  readonly untrusted: boolean; readonly at: number;
}

export type ResidualNode =
  | Settled | Deferred | Tainted
  | Member<ResidualNode> | Method<ResidualNode> | Call<ResidualNode> | List<ResidualNode> | Unary<ResidualNode>
  | Binary<ResidualNode> | Conditional<ResidualNode> | Join<ResidualNode>;

/** The operands of an operation in the order in which they are evaluated. */
export function operandsOf<N>(node: Operation<N>): readonly N[] {
  switch (node.type) {
    case 'member': return [node.target, node.key];
    case 'method': return [node.target, ...node.args];
    case 'call': return node.args;
    case 'list': return node.items;
    case 'unary': return [node.operand];
    case 'binary': return [node.left, node.right];
    case 'conditional': return [node.test, node.then, node.otherwise];
    case 'join': return node.parts;
  }
}

/** The same operation over other operands, given in the order of `operandsOf`. */
export function withOperands<M>(node: Operation<unknown>, operands: readonly M[]): Operation<M> {
  const [first, second, third] = operands as readonly [M, M, M];
  const { at } = node;
  switch (node.type) {
    case 'member': return { type: 'member', target: first, key: second, at };
    case 'method': return { type: 'method', target: first, name: node.name, args: operands.slice(1), at };
    case 'call': return { type: 'call', name: node.name, args: operands, at };
    case 'list': return { type: 'list', items: operands, at };
    case 'unary': return { type: 'unary', operator: node.operator, operand: first, at };
    case 'binary': return { type: 'binary', operator: node.operator, left: first, right: second, at };
    case 'conditional': return { type: 'conditional', test: first, then: second, otherwise: third, at };
    case 'join': return { type: 'join', parts: operands, at };
  }
}

/** `&&` and `||`: their right side counts only if the left one does not decide. */
export function isLogical(node: { readonly operator: BinaryOperator }): boolean {
  return node.operator === '&&' || node.operator === '||';
}
