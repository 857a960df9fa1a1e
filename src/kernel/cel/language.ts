/** Which part of CEL is taken, and what an expression reads. Everything that is not named here is a fault. */
import { nearest } from '#kernel/identifier.ts';
import { celFunctions } from './functions.ts';
import type { Pattern } from './pattern.ts';
import { compilePattern } from './pattern.ts';
import type { CelFault, CelVariables, Node } from './syntax.ts';
import { faultAt } from './syntax.ts';
import { maxInt } from './values.ts';

export interface CelRead {
  /** The variable, then names of fields as far as they are constant: `resource.tags.env` → three words. */
  readonly path: readonly string[];
  readonly line: number;
  readonly column: number;
}

export interface Reading {
  readonly faults: CelFault[];
  readonly reads: CelRead[];
  /** By the call of `re2` they belong to. */
  readonly patterns: Map<Node, Pattern>;
}

/** How many arguments each may have; the first is the name for the item. */
const comprehensions: ReadonlyMap<string, readonly number[]> = new Map([['all', [2]], ['exists', [2]], ['exists_one', [2]], ['filter', [2]], ['map', [2, 3]]]);

const maxFaults = 10;
/** Each keeps what it has learned of texts. */
const maxPatterns = 5;

export function readLanguage(source: string, root: Node, variables: CelVariables): Reading {
  const reader = new Reader(source, variables);
  reader.visit(root, null);
  return reader;
}

class Reader implements Reading {
  readonly faults: CelFault[] = [];
  readonly reads: CelRead[] = [];
  readonly patterns = new Map<Node, Pattern>();
  readonly #source: string;
  readonly #variables: CelVariables;

  constructor(source: string, variables: CelVariables) {
    this.#source = source;
    this.#variables = variables;
  }

  /** `item`: the name a comprehension gave, inside it. */
  visit(node: Node, item: string | null): void {
    const path = pathOf(node, item);
    if (path !== null) return this.#read(node, path);
    switch (node.op) {
      case 'value':
        return this.#constant(node, node.args);
      case 'id':
        return;
      case '.':
        return this.visit(node.args[0], item);
      case 'call':
        return this.#call(node, node.args[0], node.args[1], item);
      case 'rcall':
        return this.#method(node, node.args, item);
      case '!_':
      case '-_':
        return this.visit(node.args, item);
      case 'map':
        return this.#fault(node, 'maps are not taken in conditions; write the cases with `||`');
      case '.?':
      case '[?]':
        return this.#fault(node, 'optional fields are not taken; ask with `has(…)`');
      default:
        for (const part of node.args) this.visit(part, item);
    }
  }

  #read(node: Node, path: readonly string[]): void {
    const [variable = ''] = path;
    if (!Object.hasOwn(this.#variables, variable)) {
      const place = rootOf(node);
      return this.#fault(place, `\`${variable}\` is no variable here`, nearest(variable, Object.keys(this.#variables)));
    }
    const fields = this.#variables[variable]!;
    const [, field] = path;
    if (typeof fields === 'object' && field === undefined) {
      return this.#fault(node, `\`${variable}\` is no value itself; name one of ${Object.keys(fields).map((one) => `\`${variable}.${one}\``).join(', ')}`);
    }
    if (typeof fields === 'object' && !Object.hasOwn(fields, field!)) {
      return this.#fault(fieldOf(node, path.length), `\`${variable}\` has no \`${field}\``, nearest(field!, Object.keys(fields)));
    }
    const { line, column } = faultAt(this.#source, node.start, '');
    this.reads.push({ path, line, column });
  }

  #constant(node: Node, value: unknown): void {
    if (value === null) this.#fault(node, 'a `null` is missing here; ask with `has(…)`');
    else if (typeof value === 'bigint' && value > maxInt) this.#fault(node, `a whole number is at most ${maxInt}`);
    else if (typeof value === 'object') this.#fault(node, value instanceof Uint8Array ? 'bytes are not taken; write text' : 'write whole numbers without `u`');
  }

  #call(node: Node, name: string, args: readonly Node[], item: string | null): void {
    if (name === 're2') this.#pattern(node, args);
    else if (name === 'has') return this.#has(node, args, item);
    else if (!isKnown(name, 'function', args.length)) return this.#unknown(node, name, 'function', args.length);
    for (const arg of args) this.visit(arg, item);
  }

  /** The last name is read too: whether it is there is what is asked. */
  #has(node: Node, args: readonly Node[], item: string | null): void {
    const [field] = args;
    if (args.length !== 1 || field?.op !== '.' || !isDotted(field)) return this.#fault(node, '`has` takes one field, written with dots, such as `has(claims.ref)`');
    this.visit(field, item);
  }

  #method(node: Node, [name, on, args]: readonly [string, Node, readonly Node[]], item: string | null): void {
    const counts = comprehensions.get(name);
    if (counts?.includes(args.length)) return this.#comprehension(node, on, args, item);
    if (!isKnown(name, 'method', args.length + 1)) return this.#unknown(node, name, 'method', args.length);
    this.visit(on, item);
    for (const arg of args) {
      if (celFunctions.get(name)!.ofText && arg.op === 'value' && typeof arg.args !== 'string') this.#fault(arg, `\`${name}\` takes text`);
      this.visit(arg, item);
    }
  }

  #comprehension(node: Node, on: Node, [name, ...parts]: readonly Node[], item: string | null): void {
    if (item !== null) return this.#fault(node, 'one list inside another is not taken; let the first say less, or use several selectors');
    if (name?.op !== 'id') return this.#fault(name ?? node, 'the first argument is a name for the item');
    if (Object.hasOwn(this.#variables, name.args)) return this.#fault(name, `\`${name.args}\` is a variable; give the item another name`);
    this.visit(on, null);
    for (const part of parts) this.visit(part, name.args);
  }

  #pattern(node: Node, [, pattern, ...more]: readonly Node[]): void {
    if (pattern?.op !== 'value' || typeof pattern.args !== 'string' || more.length > 0) {
      return this.#fault(node, '`re2` takes a text and a pattern written out, such as `re2(claims.ref, "refs/tags/v[0-9.]+")`');
    }
    if (this.patterns.size >= maxPatterns) return this.#fault(node, `an expression has at most ${maxPatterns} patterns; join them with \`|\``);
    const compiled = compilePattern(pattern.args);
    if (typeof compiled === 'string') this.#fault(pattern, compiled);
    else this.patterns.set(node, compiled);
  }

  #unknown(node: Node, name: string, form: 'function' | 'method', count: number): void {
    if (name === 'matches') return this.#fault(node, '`matches` is not taken; write `re2(text, "pattern")`, which takes the whole text');
    if (celFunctions.has(name) || comprehensions.has(name)) return this.#fault(node, `\`${name}\` is not called like this, as a ${form} with ${count} arguments`);
    const known = [...celFunctions.keys(), ...comprehensions.keys(), 'has', 're2'];
    this.#fault(node, `\`${name}\` is no function here; there are ${known.map((one) => `\`${one}\``).join(', ')}`, nearest(name, known));
  }

  #fault(node: Node, message: string, suggestion?: string): void {
    // A method starts with what it is called on; its name comes after that.
    const offset = node.op === 'rcall' ? this.#source.indexOf(node.args[0], node.args[1].end) : node.pos;
    if (this.faults.length < maxFaults) this.faults.push(faultAt(this.#source, offset, message, suggestion));
  }
}

/** Null when it does not start at a variable. Parts that only the evaluation knows end a path. */
export function pathOf(node: Node, item: string | null): readonly string[] | null {
  if (node.op === 'id') return node.args === item ? null : [node.args];
  if (node.op !== '.' && node.op !== '[]') return null;
  const [of, key] = node.args;
  const name = typeof key === 'string' ? key : key.op === 'value' && typeof key.args === 'string' ? key.args : null;
  const path = name === null ? null : pathOf(of, item);
  return path === null ? null : [...path, name!];
}

/** The part of a path of so many names that ends with its second one. */
function fieldOf(node: Node, names: number): Node {
  return names > 2 && (node.op === '.' || node.op === '[]') ? fieldOf(node.args[0], names - 1) : node;
}

function rootOf(node: Node): Node {
  return node.op === '.' || node.op === '[]' ? rootOf(node.args[0]) : node;
}

function isDotted(node: Node): boolean {
  return node.op === 'id' || (node.op === '.' && isDotted(node.args[0]));
}

function isKnown(name: string, form: 'function' | 'method', count: number): boolean {
  const known = celFunctions.get(name);
  return known !== undefined && (known.form === form || known.form === 'either') && known.arguments === count;
}
