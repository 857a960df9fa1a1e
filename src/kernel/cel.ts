/**
 * Conditions in CEL: checked when they are saved, compiled once, bounded in size, depth and work. A condition holds only
 * when its value is `true`; what is missing, of a wrong type, too large or too much work meets none. Which part of CEL is
 * taken, and why the library does not evaluate, is in docs/decisions/0012.
 */
import { isWithinCaps } from './cel/caps.ts';
import type { Run } from './cel/evaluate.ts';
import { compileTree } from './cel/evaluate.ts';
import type { CelRead } from './cel/language.ts';
import { readLanguage } from './cel/language.ts';
import type { TypeAt } from './cel/stated-types.ts';
import { statedTypeFaults } from './cel/stated-types.ts';
import type { CelFault, CelVariables } from './cel/syntax.ts';
import { parseSyntax, typeFault } from './cel/syntax.ts';
import type { Value } from './cel/values.ts';
import { Steps, failed, neverTrue, outOfSteps } from './cel/values.ts';

export { valueAt } from './cel/caps.ts';
export type { CelRead } from './cel/language.ts';
export { celLimits } from './cel/syntax.ts';
export type { StatedType, TypeAt } from './cel/stated-types.ts';
export type { CelFault, CelVariables } from './cel/syntax.ts';
export { anything } from './cel/values.ts';

/** A part of an expression, an item of a list or 64 characters of text are about one step; all of them are a few ms. */
export const maxSteps = 20_000;

type Variables = Readonly<Record<string, unknown>>;

/** `no_value`: something is missing or of another type. `unknown`: it depends on what stands as `anything`. */
export type CelOutcome = 'holds' | 'does_not_hold' | 'no_value' | 'unknown' | 'too_large' | 'too_long';

export interface Cel {
  readonly source: string;
  /** Each place of a variable it looks at, in the order they are written. */
  readonly reads: readonly CelRead[];
  /** Never throws; true only when the expression is. */
  readonly evaluate: (variables: Variables) => boolean;
  /** False when no value in place of each `anything` could make it true. */
  readonly couldHold: (variables: Variables) => boolean;
  readonly explain: (variables: Variables) => { readonly outcome: CelOutcome; readonly steps: number };
  /** Comparisons that nothing of the types somebody states could meet. */
  readonly typeFaults: (typeAt: TypeAt) => readonly CelFault[];
}

export interface CelFaults {
  /** At least one. */
  readonly faults: readonly CelFault[];
}

export function compileCel(source: string, variables: CelVariables): Cel | CelFaults {
  const tree = parseSyntax(source, variables);
  if ('message' in tree) return { faults: [tree] };
  const { faults, reads, patterns } = readLanguage(source, tree, variables);
  if (faults.length > 0) return { faults };
  const wrong = typeFault(source, variables);
  if (wrong !== null) return { faults: [wrong] };
  const run = compileTree(tree, patterns);
  const paths = shortest(reads.map(({ path }) => path));
  const explain: Cel['explain'] = (values) => evaluate(run, paths, values);
  return {
    source,
    reads,
    explain,
    typeFaults: (typeAt) => statedTypeFaults(source, tree, typeAt),
    evaluate: (values) => explain(values).outcome === 'holds',
    couldHold: (values) => ['holds', 'unknown', 'too_long'].includes(explain(values).outcome),
  };
}

export function isCompiled(result: Cel | CelFaults): result is Cel {
  return !('faults' in result);
}

/** A fault as one line, with its place. */
export function faultText({ line, column, message, suggestion }: CelFault): string {
  return `line ${line}, column ${column}: ${message}${suggestion === undefined ? '' : `; did you mean \`${suggestion}\`?`}`;
}

/** The last so many results by text: a text means the same wherever it stands, and sessions bring theirs again and again. */
export function rememberCel(variables: CelVariables, most: number): (source: string) => Cel | CelFaults {
  const results = new Map<string, Cel | CelFaults>();
  return (source) => {
    let result = results.get(source);
    if (result !== undefined) return result;
    if (results.size >= most) results.delete(results.keys().next().value!);
    results.set(source, (result = compileCel(source, variables)));
    return result;
  };
}

function evaluate(run: Run, paths: readonly (readonly string[])[], variables: Variables): ReturnType<Cel['explain']> {
  if (!isWithinCaps(paths, variables)) return { outcome: 'too_large', steps: 0 };
  const steps = new Steps(maxSteps);
  try {
    return { outcome: outcomeOf(run({ variables, steps, item: failed })), steps: steps.spent };
  } catch (error) {
    if (error === outOfSteps) return { outcome: 'too_long', steps: steps.spent };
    throw error;
  }
}

function outcomeOf(value: Value): CelOutcome {
  if (typeof value === 'boolean') return value ? 'holds' : 'does_not_hold';
  if (value === neverTrue) return 'does_not_hold';
  return typeof value === 'symbol' && value !== failed ? 'unknown' : 'no_value';
}

/** Paths that do not lie within another. */
function shortest(paths: readonly (readonly string[])[]): readonly (readonly string[])[] {
  const isWithin = (inner: readonly string[], outer: readonly string[]) => outer.length <= inner.length && outer.every((name, i) => name === inner[i]);
  return paths.filter((path, i) => !paths.some((other, j) => i !== j && isWithin(path, other) && (other.length < path.length || j < i)));
}
