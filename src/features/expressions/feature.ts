/** The expression language, for the features that come after. */
export {
  callsDelivery, compileTemplate, contextFrom, deliver, evaluate, fieldErrorOf, functionTable, marked, notYet, ownFunctions, parseRuntimeInput, textOf, trusted, untrusted, valueOf, writtenNeeds,
} from './language.ts';
export type { ContextTree, RuntimeInput, Template } from './language.ts';
