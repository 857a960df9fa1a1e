import type { Refusal } from '#kernel/errors.ts';
import { nearest } from '#kernel/identifier.ts';
import { operandsOf } from './ast.ts';
import type { BinaryOperator, Call, Constant, Node, Path, Text } from './ast.ts';
import { Cursor, misplaced } from './cursor.ts';
import { lex } from './lexer.ts';
import type { Token } from './lexer.ts';
import { nodesMax, treeDepthMax } from './limits.ts';
import { methodNames, methodSignature } from './methods.ts';
import { quoted, refusalAt } from './place.ts';
import type { ExpressionFunction, FunctionTable, Source } from './schema.ts';

/** How tightly operators bind; the ternary binds loosest. Equal strength goes from left to right. */
const binaryPower: Readonly<Record<BinaryOperator, number>> = {
  '||': 2, '&&': 3, '==': 4, '!=': 4, '=~': 4, '<': 5, '<=': 5, '>': 5, '>=': 5, '+': 6, '-': 6, '*': 7, '/': 7, '%': 7,
};
const ternaryPower = 1;
const unaryPower = 8;

/**
 * The syntax tree of a text with embedded `<+…>`. A text that is exactly one expression gives that expression;
 * everything else gives text or a `join`. Functions, methods and their argument counts are checked here.
 */
export function parse(source: Source, functions: FunctionTable): Node {
  return new Parser(source, functions).template();
}

class Parser {
  private readonly source: Source;
  private readonly functions: FunctionTable;
  private readonly tokens: Cursor;
  private readonly depths = new WeakMap<Node, number>();
  private nodes = 0;
  private nesting = 0;

  constructor(source: Source, functions: FunctionTable) {
    this.source = source;
    this.functions = functions;
    this.tokens = new Cursor(source, lex(source));
  }

  template(): Node {
    const parts: Node[] = [];
    for (let token = this.tokens.peek(); token.kind !== 'end'; token = this.tokens.peek()) {
      parts.push(token.kind === 'open' ? this.embedded() : this.plain('text'));
    }
    if (parts.length === 0) return this.made({ type: 'text', text: '', at: 0 });
    return parts.length === 1 ? parts[0]! : this.made({ type: 'join', parts, at: 0 });
  }

  private embedded(): Node {
    const open = this.tokens.take('open');
    if (this.tokens.peek().kind === 'close') throw this.invalid(open.at, 'this expression is empty');
    const node = this.expression(0);
    const after = this.tokens.peek();
    if (after.kind !== 'close') throw this.invalid(after.at, misplaced(after));
    this.tokens.skip();
    return node;
  }

  private expression(power: number): Node {
    if (++this.nesting > treeDepthMax) throw this.tooDeep(this.tokens.peek().at);
    let left = this.prefix();
    for (;;) {
      const token = this.tokens.peek();
      if (token.kind !== 'mark') break;
      if (token.text === '?' && ternaryPower >= power) left = this.conditional(left);
      else if (isBinary(token.text) && binaryPower[token.text] >= power) left = this.binary(left, token.text);
      else break;
    }
    this.nesting--;
    return left;
  }

  private conditional(test: Node): Node {
    const { at } = this.tokens.mark('?');
    const then = this.expression(ternaryPower);
    this.tokens.mark(':');
    return this.made({ type: 'conditional', test, then, otherwise: this.expression(ternaryPower), at });
  }

  private binary(left: Node, operator: BinaryOperator): Node {
    const { at } = this.tokens.mark(operator);
    const right = this.expression(binaryPower[operator] + 1);
    const isText = right.type === 'join' || (right.type === 'constant' && typeof right.data === 'string');
    if (operator === '=~' && isText) {
      throw this.invalid(at, '`=~` takes a list, `x =~ ["a", "b"]`; patterns in a string are not supported yet');
    }
    return this.made({ type: 'binary', operator, left, right, at });
  }

  private prefix(): Node {
    const token = this.tokens.peek();
    if (token.kind === 'mark' && (token.text === '!' || token.text === '-')) {
      this.tokens.skip();
      return this.made({ type: 'unary', operator: token.text, operand: this.expression(unaryPower), at: token.at });
    }
    return this.postfix(this.primary(token));
  }

  private primary(token: Token): Node {
    if (token.kind === 'open') return this.embedded();
    if (token.kind === 'quote') return this.string();
    if (token.kind === 'name') return this.named();
    if (token.kind === 'number') {
      this.tokens.skip();
      return this.made({ type: 'constant', data: Number(token.text), at: token.at });
    }
    if (token.kind === 'mark' && token.text === '(') {
      this.tokens.skip();
      const inner = this.expression(0);
      this.tokens.mark(')');
      return inner;
    }
    if (token.kind === 'mark' && token.text === '[') {
      return this.made({ type: 'list', items: this.sequence('[', ']'), at: token.at });
    }
    throw this.invalid(token.at, misplaced(token));
  }

  private named(): Node {
    const token = this.tokens.take('name');
    const { text, at } = token;
    if (this.tokens.isMark('(')) return this.call(undefined, token);
    const literals: Readonly<Record<string, null | boolean>> = { true: true, false: false, null: null };
    if (Object.hasOwn(literals, text)) return this.made({ type: 'constant', data: literals[text]!, at });
    return this.made({ type: 'path', keys: [this.made<Constant>({ type: 'constant', data: text, at })], at });
  }

  private string(): Node {
    const { at } = this.tokens.take('quote');
    const parts: Node[] = [];
    for (let token = this.tokens.peek(); token.kind !== 'unquote'; token = this.tokens.peek()) {
      parts.push(token.kind === 'open' ? this.embedded() : this.plain('chunk'));
    }
    this.tokens.take('unquote');
    const [first] = parts;
    if (first !== undefined && (parts.length > 1 || first.type !== 'text')) {
      return this.made({ type: 'join', parts, at });
    }
    return this.made({ type: 'constant', data: first?.type === 'text' ? first.text : '', at });
  }

  private plain(kind: 'text' | 'chunk'): Node {
    const { text, at } = this.tokens.take(kind);
    return this.made<Text>({ type: 'text', text, at });
  }

  private postfix(start: Node): Node {
    let node = start;
    for (;;) {
      if (this.tokens.isMark('.')) node = this.dotted(node);
      else if (this.tokens.isMark('[')) node = this.indexed(node);
      else break;
    }
    if (!this.tokens.isMark('(')) return node;
    throw this.invalid(this.tokens.peek().at, 'only functions and methods can be called, by name');
  }

  private dotted(target: Node): Node {
    const { at } = this.tokens.mark('.');
    const token = this.tokens.peek();
    if (token.kind === 'open') return this.member(target, this.embedded(), at);
    if (token.kind === 'number') throw this.invalid(token.at, 'write a numeric index in brackets, `[0]`');
    const key = this.tokens.take('name');
    if (this.tokens.isMark('(')) return this.call(target, key);
    return this.member(target, this.made({ type: 'constant', data: key.text, at: key.at }), at);
  }

  private indexed(target: Node): Node {
    const { at } = this.tokens.mark('[');
    const key = this.expression(0);
    this.tokens.mark(']');
    return this.member(target, key, at);
  }

  private member(target: Node, key: Node, at: number): Node {
    if (target.type !== 'path') return this.made({ type: 'member', target, key, at });
    return this.made<Path>({ type: 'path', keys: [...target.keys, key], at: target.at });
  }

  /** `a.b.c(…)` is the function of that name if there is one, otherwise method `c` of what `a.b` gives. */
  private call(target: Node | undefined, key: Token): Node {
    const space = target === undefined ? [] : constantNames(target);
    const dotted = space && [...space, key.text].join('.');
    const found = dotted === undefined ? undefined : this.functions.get(dotted);
    if (found !== undefined) return this.functionCall(found, target?.at ?? key.at);
    const signature = methodSignature(key.text);
    if (target === undefined || signature === undefined) throw this.unknownCall(dotted ?? key.text, key);
    const args = this.sequence('(', ')');
    this.checkCount(args.length, signature, key);
    if (key.text === 'get') return this.member(target, args[0]!, key.at);
    return this.made({ type: 'method', target, name: key.text, args, at: key.at });
  }

  private functionCall({ name, parameters }: ExpressionFunction, at: number): Node {
    const args = this.sequence('(', ')');
    this.checkCount(args.length, parameters, { kind: 'name', text: name, at });
    return this.made<Call<Node>>({ type: 'call', name, args, at });
  }

  private checkCount(count: number, { min, max }: { min: number; max: number }, { text, at }: Token): void {
    if (count >= min && count <= max) return;
    const wanted = min === max ? `${min}` : `${min} to ${max}`;
    throw this.invalid(at, `${quoted(`${text}()`)} takes ${wanted} argument${wanted === '1' ? '' : 's'}, not ${count}`);
  }

  private unknownCall(dotted: string, key: Token): Refusal {
    const suggestion = nearest(dotted, this.functions.keys()) ?? nearest(key.text, methodNames);
    const say = `there is no function or method ${quoted(`${dotted}()`)}`;
    return refusalAt(this.source, key.at, 'expression.invalid', { say, suggestion });
  }

  private sequence(open: '(' | '[', close: ')' | ']'): Node[] {
    this.tokens.mark(open);
    const items: Node[] = [];
    while (!this.tokens.isMark(close)) {
      if (items.length > 0) this.tokens.mark(',');
      items.push(this.expression(0));
    }
    this.tokens.mark(close);
    return items;
  }

  private made<T extends Node>(node: T): T {
    if (++this.nodes > nodesMax) {
      throw refusalAt(this.source, node.at, 'expression.limit', `an expression may have ${nodesMax} parts`);
    }
    let depth = 1;
    for (const child of childrenOf(node)) depth = Math.max(depth, 1 + (this.depths.get(child) ?? 0));
    if (depth > treeDepthMax) throw this.tooDeep(node.at);
    this.depths.set(node, depth);
    return node;
  }

  private tooDeep(at: number): Refusal {
    return refusalAt(this.source, at, 'expression.limit', `an expression may nest ${treeDepthMax} levels deep`);
  }

  private invalid(at: number, say: string): Refusal {
    return refusalAt(this.source, at, 'expression.invalid', say);
  }
}

function childrenOf(node: Node): readonly Node[] {
  if (node.type === 'constant' || node.type === 'text') return [];
  return node.type === 'path' ? node.keys : operandsOf<Node>(node);
}

function isBinary(mark: string): mark is BinaryOperator {
  return Object.hasOwn(binaryPower, mark);
}

/** The names of a path made of nothing but names, else undefined. */
function constantNames(node: Node): readonly string[] | undefined {
  if (node.type !== 'path') return undefined;
  const names = node.keys.map((key) => (key.type === 'constant' ? key.data : undefined));
  return names.every((name) => typeof name === 'string') ? names : undefined;
}
