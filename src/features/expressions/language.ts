/** The expression language as one door: compile a text, evaluate it on the server, deliver what is left. */
export { contextFrom, marked, notYet } from './context.ts';
export type { ContextTree } from './context.ts';
export { deliver } from './deliver.ts';
export { evaluate } from './evaluate.ts';
export { functionTable, ownFunctions } from './functions.ts';
export { fieldErrorOf } from './place.ts';
export type { Place } from './place.ts';
export { parseRuntimeInput } from './runtime-input.ts';
export type { RuntimeInput } from './runtime-input.ts';
export { callsDelivery, compileTemplate, writtenNeeds } from './template.ts';
export type { Template } from './template.ts';
export { textOf, trusted, untrusted, valueOf } from './value.ts';
