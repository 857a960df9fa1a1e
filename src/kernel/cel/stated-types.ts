/**
 * Types that somebody states of what an expression reads, beyond those of its variables: a comparison that no value of
 * such a type could meet is a fault. What nobody states may be anything.
 */
import { celFunctions } from './functions.ts';
import { pathOf } from './language.ts';
import type { CelFault, Node } from './syntax.ts';
import { faultAt } from './syntax.ts';

export type StatedType = 'text' | 'number' | 'boolean' | 'list' | 'object';

/** Undefined = nobody knows. The path is the variable and names of fields. */
export type TypeAt = (path: readonly string[]) => StatedType | undefined;

const comparisons: ReadonlySet<string> = new Set(['==', '!=', '<', '<=', '>', '>=']);
const collections: ReadonlySet<string> = new Set(['all', 'exists', 'exists_one', 'filter', 'map']);
const maxFaults = 10;

/** `root` is what `parseSyntax` gave for `source`. */
export function statedTypeFaults(source: string, root: Node, typeAt: TypeAt): readonly CelFault[] {
  const checker = new Checker(source, typeAt);
  checker.visit(root);
  return checker.faults;
}

class Checker {
  readonly faults: CelFault[] = [];
  readonly #source: string;
  readonly #typeAt: TypeAt;

  constructor(source: string, typeAt: TypeAt) {
    this.#source = source;
    this.#typeAt = typeAt;
  }

  visit(node: Node): void {
    if (comparisons.has(node.op)) this.#compare(node.args as readonly [Node, Node]);
    else if (node.op === 'in') this.#within(node.args as readonly [Node, Node]);
    else if (node.op === 'rcall') this.#method(node.args as readonly [string, Node, readonly Node[]]);
    for (const part of partsOf(node)) this.visit(part);
  }

  #compare([left, right]: readonly [Node, Node]): void {
    this.#mustFit(left, right);
    if (this.#stated(left) === undefined) this.#mustFit(right, left);
  }

  /** `place` has a stated type that the other side does not have. */
  #mustFit(place: Node, other: Node): void {
    const stated = this.#stated(place);
    const compared = this.#typeOf(other);
    if (stated !== undefined && compared !== undefined && stated !== compared) this.#fault(other, place, stated, `is never ${words[compared]}`);
  }

  #within([element, list]: readonly [Node, Node]): void {
    const container = this.#stated(list);
    if (container !== undefined && container !== 'list' && container !== 'object') this.#fault(list, list, container, 'has no elements');
    if (list.op !== 'list') return;
    for (const one of list.args as readonly Node[]) this.#mustFit(element, one);
  }

  #method([name, on]: readonly [string, Node, readonly Node[]]): void {
    const stated = this.#stated(on);
    if (stated === undefined) return;
    if (celFunctions.get(name)?.ofText === true && stated !== 'text') this.#fault(on, on, stated, `has no \`${name}\``);
    if (collections.has(name) && stated !== 'list' && stated !== 'object') this.#fault(on, on, stated, 'has no elements');
  }

  #stated(node: Node): StatedType | undefined {
    const path = pathOf(node, null);
    return path === null ? undefined : this.#typeAt(path);
  }

  #typeOf(node: Node): StatedType | undefined {
    if (node.op === 'list') return 'list';
    if (node.op !== 'value') return this.#stated(node);
    const { args } = node;
    if (typeof args === 'string') return 'text';
    if (typeof args === 'boolean') return 'boolean';
    return typeof args === 'number' || typeof args === 'bigint' ? 'number' : undefined;
  }

  #fault(at: Node, place: Node, stated: StatedType, what: string): void {
    if (this.faults.length >= maxFaults) return;
    this.faults.push(faultAt(this.#source, at.start, `\`${(pathOf(place, null) ?? []).join('.')}\` is ${words[stated]} and ${what}`));
  }
}

const words: Readonly<Record<StatedType, string>> = { text: 'text', number: 'a number', boolean: '`true` or `false`', list: 'a list', object: 'an object' };

function partsOf(node: Node): readonly Node[] {
  if (node.op === 'rcall') return [node.args[1], ...node.args[2]];
  if (node.op === 'call') return node.args[1];
  if (node.op === '!_' || node.op === '-_') return [node.args];
  return Array.isArray(node.args) ? (node.args as readonly unknown[]).filter(isNode) : [];
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'op' in value;
}
