import type { Context, Data, Lookup, Taint, Value } from './schema.ts';
import { checkDepth, trusted, unite, valueOf } from './value.ts';

/** A known place without a value so far: a step that has not run. */
export const notYet = Symbol('not yet');

/** A part of a context's tree with a taint of its own. Only `marked` makes one, so no payload can look like one. */
class Marked {
  readonly tree: ContextTree;
  readonly taint: Taint;

  constructor(tree: ContextTree, taint: Taint) {
    this.tree = tree;
    this.taint = taint;
  }
}

export type ContextTree =
  | Data | typeof notYet | Marked | undefined | readonly ContextTree[] | { readonly [key: string]: ContextTree };

/** Gives a part of a context's tree a taint, in addition to the taints of all that it lies in. */
export function marked(tree: ContextTree, taint: Taint): Marked {
  return new Marked(tree, taint);
}

/**
 * A context over a tree of plain data. Only own members exist; undefined ones and `__proto__` do not. Parts may be
 * `marked` with taints of their own or `notYet`. Reading a whole object unites the taints of all it holds, and what is
 * not yet there reads as `null`.
 */
export function contextFrom(tree: ContextTree, taint: Taint = trusted): Context {
  return {
    lookup(path): Lookup {
      const { at, taints } = walk(tree, path);
      if (at === notYet) return 'not_yet';
      return at === undefined ? 'missing' : { found: gathered(at, unite([taint, ...taints])) };
    },
    names(path) {
      const { at } = walk(tree, path);
      return typeof at === 'object' && at !== null && !Array.isArray(at) ? Object.keys(at) : [];
    },
  };
}

type Bare = Exclude<ContextTree, Marked>;

function walk(tree: ContextTree, path: readonly (string | number)[]): { at: Bare; taints: Taint[] } {
  const taints: Taint[] = [];
  let at = unmarked(tree, taints);
  for (const key of path) {
    if (at === notYet || at === undefined) break;
    at = unmarked(below(at, key), taints);
  }
  return { at, taints };
}

function unmarked(tree: ContextTree, taints: Taint[]): Bare {
  let at = tree;
  while (at instanceof Marked) {
    taints.push(at.taint);
    at = at.tree;
  }
  return at;
}

function below(tree: Bare, key: string | number): ContextTree {
  if (typeof tree !== 'object' || tree === null || key === '__proto__') return undefined;
  const fits = Array.isArray(tree) === (typeof key === 'number');
  return fits && Object.hasOwn(tree, key) ? (tree as Record<string | number, ContextTree>)[key] : undefined;
}

/** The part as one value with the taints of everything in it. The evaluator checks its size. */
function gathered(tree: Bare, taint: Taint): Value {
  const taints = [taint];
  const data = bare(tree, taints, 0);
  return valueOf(data, unite(taints));
}

function bare(tree: ContextTree, taints: Taint[], depth: number): Data {
  const at = unmarked(tree, taints);
  if (typeof at !== 'object' || at === null) return at === notYet || at === undefined ? null : at;
  checkDepth(depth);
  if (Array.isArray(at)) return at.map((item: ContextTree) => bare(item, taints, depth + 1));
  const object = Object.create(null) as Record<string, Data>;
  for (const key of Object.keys(at)) {
    const member = (at as Record<string, ContextTree>)[key];
    if (key !== '__proto__' && member !== undefined) object[key] = bare(member, taints, depth + 1);
  }
  return object;
}
