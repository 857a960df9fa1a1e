import { Refusal, refusal } from '#kernel/errors.ts';
import type { ErrorCode, FieldError } from '#kernel/errors.ts';
import type { Source } from './schema.ts';

/** Where in the user's file an error is. `offset` counts UTF-16 units of the expression's own text from 0. */
export interface Place {
  readonly offset: number;
  readonly line: number;
  readonly column: number;
}

/** What is wrong, and what was probably meant. */
interface Advice {
  readonly say: string;
  readonly suggestion: string | undefined;
}

interface Evidence {
  readonly place: Place;
  readonly suggestion: string | undefined;
  /** What the refusal said before it got its place. */
  readonly of?: unknown;
}

const excerptBefore = 24;
const excerptAfter = 48;
const quotedMax = 128;
// Control, line-separator and bidirectional-override characters: none of them may reach a terminal from an error.
const unprintable = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g;

/** The line and column (from 1) of an offset, counted from where the text starts in its file. */
export function placeIn(source: Source, offset: number): Place {
  const { base, text } = source;
  let line = base.line;
  let lineStart = 0;
  for (let next = text.indexOf('\n'); next >= 0 && next < offset; next = text.indexOf('\n', lineStart)) {
    line += 1;
    lineStart = next + 1;
  }
  const firstColumn = line === base.line ? base.column : 1 + (base.indent ?? 0);
  return { offset, line, column: firstColumn + offset - lineStart };
}

/** Text of a user inside a message: in backticks, printable, not too long. */
export function quoted(text: string): string {
  const printable = text.toWellFormed().replace(unprintable, '\ufffd').replaceAll('`', "'");
  return `\`${printable.length > quotedMax ? `${printable.slice(0, quotedMax)}…` : printable}\``;
}

function excerpt({ text }: Source, offset: number): string {
  const lineStart = offset === 0 ? 0 : text.lastIndexOf('\n', offset - 1) + 1;
  const newline = text.indexOf('\n', offset);
  const lineEnd = newline < 0 ? text.length : newline;
  const start = Math.max(lineStart, offset - excerptBefore);
  const end = Math.min(lineEnd, offset + excerptAfter);
  return quoted(`${start > lineStart ? '…' : ''}${text.slice(start, end).trim()}${end < lineEnd ? '…' : ''}`);
}

/**
 * The one way an expression is refused: `say` is completed with line, column and an excerpt of the source.
 * `placeOf` and `fieldErrorOf` give the position back.
 */
export function refusalAt(source: Source, offset: number, code: ErrorCode, text: string | Advice): Refusal {
  const { say, suggestion } = typeof text === 'string' ? { say: text, suggestion: undefined } : text;
  const place = placeIn(source, offset);
  const hint = suggestion === undefined ? '' : `; did you mean ${quoted(suggestion)}?`;
  const evidence: Evidence = { place, suggestion };
  const where = `line ${place.line}, column ${place.column}: ${excerpt(source, offset)}`;
  return refusal(code, { say: `${say}${hint} (${where})`, evidence });
}

/** Runs `work`; a refusal without a place that comes out of it gets the place of `offset`. */
export function locating<T>(source: Source, offset: number, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw located(source, offset, error);
  }
}

/** The error itself, or, if it is a refusal without a place, the same refusal with the place of `offset`. */
export function located(source: Source, offset: number, error: unknown): unknown {
  if (!(error instanceof Refusal) || evidenceOf(error) !== undefined) return error;
  const { code, because, errors, retryAfterSeconds } = error;
  const { say, evidence } = refusalAt(source, offset, code, error.say ?? error.record.title);
  return refusal(code, {
    ...(say === undefined ? {} : { say }),
    ...(because === undefined ? {} : { because }),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    cause: error, errors, evidence: { ...(evidence as Evidence), of: error.evidence },
  });
}

/** The position of a refused expression; undefined when the error is of another kind. */
export function placeOf(error: unknown): Place | undefined {
  return evidenceOf(error)?.place;
}

/** A refused expression as a fault of the field at `pointer` (JSON Pointer). The message holds line and column. */
export function fieldErrorOf(error: Refusal, pointer: string): FieldError {
  const message = error.say ?? error.record.title;
  const suggestion = evidenceOf(error)?.suggestion;
  return suggestion === undefined ? { pointer, message } : { pointer, message, suggestion };
}

function evidenceOf(error: unknown): Evidence | undefined {
  if (!(error instanceof Refusal)) return undefined;
  const evidence = error.evidence;
  return typeof evidence === 'object' && evidence !== null && 'place' in evidence && 'suggestion' in evidence
    ? evidence as Evidence
    : undefined;
}
