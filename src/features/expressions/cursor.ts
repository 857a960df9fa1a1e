import type { Token, TokenKind } from './lexer.ts';
import { quoted, refusalAt } from './place.ts';
import type { Source } from './schema.ts';

/** A place in the tokens of a text. The last token is always `end`, and nobody takes it. */
export class Cursor {
  private readonly source: Source;
  private readonly tokens: readonly Token[];
  private position = 0;

  constructor(source: Source, tokens: readonly Token[]) {
    this.source = source;
    this.tokens = tokens;
  }

  peek(): Token {
    return this.tokens[this.position]!;
  }

  skip(): void {
    this.position++;
  }

  isMark(text: string): boolean {
    const token = this.peek();
    return token.kind === 'mark' && token.text === text;
  }

  /** Takes a token of this kind, or refuses what stands there instead. */
  take(kind: TokenKind): Token {
    return this.expected(this.peek().kind === kind, `a ${kind}`);
  }

  /** Takes this operator or bracket, or refuses what stands there instead. */
  mark(text: string): Token {
    return this.expected(this.isMark(text), quoted(text));
  }

  private expected(fits: boolean, wanted: string): Token {
    const token = this.peek();
    if (!fits) {
      const say = `${wanted} is expected here, not ${described(token)}`;
      throw refusalAt(this.source, token.at, 'expression.invalid', say);
    }
    this.skip();
    return token;
  }
}

/** What to say of a token that no value can start with and that connects no values. */
export function misplaced(token: Token): string {
  return `${described(token)} cannot stand here; between values an operator is needed`;
}

function described(token: Token): string {
  if (token.kind === 'close' || token.kind === 'end') return 'the end of the expression';
  return token.kind === 'quote' ? 'a string' : quoted(token.text);
}
