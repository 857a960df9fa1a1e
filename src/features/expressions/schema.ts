/** The words of the expression language that other features use: values, functions, contexts, residuals. */

/** What an expression can compute with. Objects have no prototype; `__proto__` is never a key. */
export type Data = null | boolean | number | string | readonly Data[] | { readonly [key: string]: Data };

/** Where a value comes from. Every operation unites the taints of all it read, conditions included. */
export interface Taint {
  /** The uids of the secrets (and minted tokens) it derives from. */
  readonly secrets: ReadonlySet<string>;
  /** It derives from a payload, a header, a branch name, a caller's input or the output of an untrusted run. */
  readonly untrusted: boolean;
}

export interface Value extends Taint {
  readonly data: Data;
}

/**
 * Where the result of an expression goes.
 * `script` (text that a shell will run) takes only values without any taint; `plain` (names, conditions and whatever
 * else the server itself reads) takes no secret; `environment` (a variable of the step's process) takes everything.
 */
export type Sink = 'script' | 'plain' | 'environment';

/**
 * What a context answers for a path. `not_yet` is a place that is known and has no value so far (a step that has not
 * run): the expression reads `null`. `missing` is a mistake of the author: the expression is refused.
 */
export type Lookup = { readonly found: Value } | 'not_yet' | 'missing';

/** Bytes, counted down by every operation. */
export interface Work {
  bytes: number;
}

export interface Context {
  lookup(path: readonly (string | number)[]): Lookup;
  /** Names that exist directly below `path`, for the suggestion in an error. May be left out. */
  names?(path: readonly (string | number)[]): readonly string[];
  /** What all evaluations in this context may still read together; absent = each has only its own bound. */
  readonly work?: Work;
}

/** One function of the language, contributed by a feature. */
export interface ExpressionFunction {
  /** Dotted, as it is called: `json.select`. */
  readonly name: string;
  /** `plan`: called while the server evaluates. `delivery`: called only for the one attempt that receives the value. */
  readonly phase: 'plan' | 'delivery';
  /** How many arguments it takes. */
  readonly parameters: { readonly min: number; readonly max: number };
  readonly summary: string;
  readonly example: string;
  /** Only `plan` functions have it: synchronous and pure. The taints of the arguments are added to its result. */
  call?(args: readonly Value[]): Value;
}

export type FunctionTable = ReadonlyMap<string, ExpressionFunction>;

/** A delivery call that an expression will make. Its arguments are trusted, not secret, and already evaluated. */
export interface Need {
  readonly function: string;
  readonly args: readonly Data[];
  /** Where it is written. */
  readonly line: number;
  readonly column: number;
}

/** Answers one delivery call. The value must name at least one secret: that is what delivery functions are for. */
export type Resolver = (need: Need) => Promise<Value>;

/** Where a text starts in its file, counted from 1. `indent`: columns taken off every further line (YAML blocks). */
export interface Base {
  readonly line: number;
  readonly column: number;
  readonly indent?: number;
}

export interface Source {
  readonly text: string;
  readonly base: Base;
}

/**
 * What is left of an expression when everything but its delivery calls is evaluated. Plain JSON: it may be stored
 * and read back. `root` belongs to `deliver.ts`; nobody else looks inside.
 */
export interface Residual {
  readonly version: 1;
  readonly source: Source;
  readonly root: unknown;
  /** Every delivery call it may make, each once: what access has to be checked for. */
  readonly needs: readonly Need[];
  /** Taints known before delivery. */
  readonly secrets: readonly string[];
  readonly untrusted: boolean;
}

export type Outcome =
  | { readonly kind: 'value'; readonly value: Value }
  | { readonly kind: 'residual'; readonly residual: Residual };
