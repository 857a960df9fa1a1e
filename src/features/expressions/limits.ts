/** Bounds of the expression language. Going over one is `expression.limit`, never a slow server. */

/** Longest text that may hold expressions, in bytes of UTF-8. */
export const templateBytesMax = 256 * 1024;

/** How deep `<+…>` may stand inside `<+…>`. */
export const expressionDepthMax = 15;

/** How deep the syntax tree may get: parentheses, operators in a row, chained calls. Keeps every recursion short. */
export const treeDepthMax = 200;

/** Nodes of one compiled template, its pieces of plain text included. */
export const nodesMax = 2_000;

/** Largest value that any step of an evaluation may make, in bytes (`bytesOf`). */
export const valueBytesMax = 256 * 1024;

/** How deep lists and objects may nest in a value. */
export const dataDepthMax = 64;

/** Bytes that all operations of one evaluation may read together: two thousand cheap steps on large text add up. */
export const workBytesMax = 8 * 1024 * 1024;
