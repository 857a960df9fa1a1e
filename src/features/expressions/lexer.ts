import type { Refusal } from '#kernel/errors.ts';
import { expressionDepthMax, nodesMax } from './limits.ts';
import { quoted, refusalAt } from './place.ts';
import type { Source } from './schema.ts';

/**
 * `text`: plain text outside every expression. `open` and `close`: the delimiters `<+` and `>`. `quote`, `chunk`,
 * `unquote`: a string literal, which may hold `open … close` between its chunks. `mark`: an operator or a bracket.
 */
export type TokenKind =
  'text' | 'open' | 'close' | 'name' | 'number' | 'quote' | 'chunk' | 'unquote' | 'mark' | 'end';

export interface Token {
  readonly kind: TokenKind;
  /** As it means: escapes of a chunk are undone. */
  readonly text: string;
  readonly at: number;
}

/** What the lexer stands inside of. `brackets` holds where this expression's `(` and `[` are open. */
type Mode =
  | { readonly kind: 'expression'; readonly at: number; readonly brackets: number[] }
  | { readonly kind: 'string'; readonly at: number; readonly mark: string };

const tokensMax = nodesMax * 8;
const marks = ['==', '!=', '<=', '>=', '&&', '||', '=~', ...'<>!+-*/%?:()[],.'];
const escapes: Readonly<Record<string, string>> = {
  '\\': '\\', '"': '"', "'": "'", '<': '<', '/': '/', n: '\n', r: '\r', t: '\t',
};
const name = /[A-Za-z_$][A-Za-z0-9_$]*/y;
const number = /(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const wordCharacter = /[A-Za-z0-9_$]/;
const fourHex = /[0-9A-Fa-f]{4}/y;

/** The tokens of a text with embedded `<+…>`, in one pass. Refuses with `expression.invalid` or `expression.limit`. */
export function lex(source: Source): readonly Token[] {
  return new Lexer(source).run();
}

class Lexer {
  private readonly source: Source;
  private readonly text: string;
  private readonly tokens: Token[] = [];
  private readonly modes: Mode[] = [];
  private expressionDepth = 0;
  private position = 0;

  constructor(source: Source) {
    this.source = source;
    this.text = source.text;
  }

  run(): readonly Token[] {
    while (this.position < this.text.length) {
      const mode = this.modes.at(-1);
      if (mode === undefined) this.plain();
      else if (mode.kind === 'string') this.string(mode.mark);
      else this.expression(mode);
    }
    const open = this.modes.at(-1);
    if (open !== undefined) throw this.unclosed(open);
    this.add('end', '', this.position);
    return this.tokens;
  }

  private plain(): void {
    const start = this.position;
    const found = this.text.indexOf('<+', start);
    const end = found < 0 ? this.text.length : found;
    if (end > start) this.add('text', this.text.slice(start, end), start);
    this.position = end;
    if (found >= 0) this.open();
  }

  private open(): void {
    if (++this.expressionDepth > expressionDepthMax) {
      const say = `expressions may stand ${expressionDepthMax} deep inside each other`;
      throw refusalAt(this.source, this.position, 'expression.limit', say);
    }
    this.modes.push({ kind: 'expression', at: this.position, brackets: [] });
    this.add('open', '<+', this.position);
    this.position += 2;
  }

  private string(mark: string): void {
    const start = this.position;
    let chunk = '';
    let plainFrom = start;
    for (let i = start; ; i++) {
      const character = this.text[i];
      const opens = character === '<' && this.text[i + 1] === '+';
      if (character === undefined || character === mark || opens) {
        chunk += this.text.slice(plainFrom, i);
        this.position = i;
        break;
      }
      if (character !== '\\') continue;
      const escape = this.escape(i);
      chunk += this.text.slice(plainFrom, i) + escape.text;
      i += escape.length - 1;
      plainFrom = i + 1;
    }
    if (chunk !== '') this.add('chunk', chunk, start);
    if (this.text[this.position] === '<') return this.open();
    if (this.position < this.text.length) {
      this.add('unquote', mark, this.position++);
      this.modes.pop();
    }
  }

  private escape(at: number): { text: string; length: number } {
    const letter = this.text[at + 1] ?? '';
    const simple = Object.hasOwn(escapes, letter) ? escapes[letter] : undefined;
    if (simple !== undefined) return { text: simple, length: 2 };
    fourHex.lastIndex = at + 2;
    const hex = letter === 'u' ? fourHex.exec(this.text)?.[0] : undefined;
    if (hex !== undefined) return { text: String.fromCharCode(Number.parseInt(hex, 16)), length: 6 };
    throw this.invalid(at, `${quoted(`\\${letter}`)} is not an escape; for a backslash write \`\\\\\``);
  }

  private expression(mode: Mode & { kind: 'expression' }): void {
    const at = this.position;
    const character = this.text[at]!;
    if (isBlank(character) || isNewline(character)) this.position++;
    else if (character === '<' && this.text[at + 1] === '+') this.open();
    else if (character === '>' && mode.brackets.length === 0 && this.closes(at)) this.close();
    else if (character === '"' || character === "'") this.quote(character);
    else if (!this.word('name', name) && !this.word('number', number)) this.mark(mode);
  }

  /**
   * `>` both compares and closes. Inside brackets it compares. Otherwise it closes, unless white space stands before
   * it and something follows on the line: `<+<+a> > 5>` compares, `<+a>=5` and `<+ a >` close.
   */
  private closes(at: number): boolean {
    const before = this.text[at - 1]!;
    if (!isBlank(before) && !isNewline(before)) return true;
    let next = at + 1;
    while (isBlank(this.text[next])) next++;
    return next >= this.text.length || isNewline(this.text[next]);
  }

  private close(): void {
    this.add('close', '>', this.position++);
    this.modes.pop();
    this.expressionDepth--;
  }

  private quote(mark: string): void {
    this.modes.push({ kind: 'string', at: this.position, mark });
    this.add('quote', mark, this.position++);
  }

  private word(kind: 'name' | 'number', pattern: RegExp): boolean {
    pattern.lastIndex = this.position;
    const found = pattern.exec(this.text)?.[0];
    if (found === undefined) return false;
    const end = this.position + found.length;
    if (kind === 'number' && (wordCharacter.test(this.text[end] ?? '') || !Number.isFinite(Number(found)))) {
      throw this.invalid(this.position, 'this is neither a number nor a name; quote it if it is a name');
    }
    this.add(kind, found, this.position);
    this.position = end;
    return true;
  }

  private mark(mode: Mode & { kind: 'expression' }): void {
    const at = this.position;
    const mark = marks.find((candidate) => this.text.startsWith(candidate, at));
    if (mark === undefined) throw this.invalid(at, unknownMark(this.text, at));
    if (mark === '(' || mark === '[') mode.brackets.push(at);
    if (mark === ')' || mark === ']') mode.brackets.pop();
    this.add('mark', mark, at);
    this.position += mark.length;
  }

  private add(kind: TokenKind, text: string, at: number): void {
    if (this.tokens.length >= tokensMax) {
      throw refusalAt(this.source, at, 'expression.limit', `an expression may have ${tokensMax} words and signs`);
    }
    this.tokens.push({ kind, text, at });
  }

  private unclosed(mode: Mode): Refusal {
    if (mode.kind === 'string') return this.invalid(mode.at, `this string never ends; close it with ${mode.mark}`);
    const bracket = mode.brackets.at(-1);
    if (bracket !== undefined) return this.invalid(bracket, `this ${quoted(this.text[bracket]!)} is never closed`);
    return this.invalid(mode.at, 'this `<+` is never closed; a `>` after white space compares, a `>` without closes');
  }

  private invalid(at: number, say: string): Refusal {
    return refusalAt(this.source, at, 'expression.invalid', say);
  }
}

function unknownMark(text: string, at: number): string {
  const character = String.fromCodePoint(text.codePointAt(at)!);
  if (character === '=') return '`=` does not compare; write `==`';
  if (character === '&' || character === '|') return `write ${quoted(character.repeat(2))}`;
  if ('“”„‘’'.includes(character)) return 'write strings in straight quotes';
  return `${quoted(character)} means nothing in an expression`;
}

function isBlank(character: string | undefined): boolean {
  return character === ' ' || character === '\t';
}

function isNewline(character: string | undefined): boolean {
  return character === '\n' || character === '\r';
}
