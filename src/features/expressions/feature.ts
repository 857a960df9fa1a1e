/** The expression language, for the features that come after. */
export { deliver, functionTable, ownFunctions, textOf, trusted, valueOf } from './language.ts';
