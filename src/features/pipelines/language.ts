/** How pipelines reach the expression language: the one place that names its door. */
import type { FunctionTable } from '#features/expressions/schema.ts';
import { compileTemplate, fieldErrorOf, parseRuntimeInput } from '#features/expressions/feature.ts';
import type { RuntimeInput, Template } from '#features/expressions/feature.ts';
import { Refusal } from '#kernel/errors.ts';
import type { FieldError } from '#kernel/errors.ts';

export {
  callsDelivery, contextFrom, evaluate, marked, notYet, textOf, untrusted, valueOf, writtenNeeds,
} from '#features/expressions/feature.ts';
export type { ContextTree, RuntimeInput, Template } from '#features/expressions/feature.ts';
export type {
  Context, Data, ExpressionFunction, FunctionTable, Lookup, Need, Outcome, Taint, Value, Work,
} from '#features/expressions/schema.ts';

export function compileField(text: string, functions: FunctionTable): Template {
  return compileTemplate(text, { functions });
}

/**
 * A `when` condition: the whole field is one expression, written with or without the outer delimiters. The column counts
 * from where the author's text starts.
 */
export function compileCondition(text: string, functions: FunctionTable): Template {
  return compileTemplate(`<+${text.trim()}>`, { functions, base: { line: 1, column: -1 } });
}

/** More faults of a file than this are neither told nor looked for: a fault with its suggestion costs more than a good field. */
export const maxFaults = 100;

/** Runs a piece of work on one field; what the language refuses becomes a fault of that field. */
export function inField<T>(pointer: string, errors: FieldError[], work: () => T): T | undefined {
  if (errors.length > maxFaults) return undefined;
  try {
    return work();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    errors.push(fieldErrorOf(error, pointer));
    return undefined;
  }
}

/** The runtime input a field asks for; null when it is no runtime input. Throws what is wrong with its modifiers. */
export function runtimeInputOf(value: unknown): RuntimeInput | null {
  return typeof value === 'string' ? parseRuntimeInput(value) : null;
}
