/**
 * The strict reader of JSON from outside (RFC 8259 with the advice of RFC 7493): what two parsers could understand
 * differently is refused instead of resolved. Everything is bounded before it is built.
 */

export type JsonValue =
  | null | boolean | number | string | readonly JsonValue[] | { readonly [member: string]: JsonValue };

export interface JsonLimits {
  /** Size of the document in UTF-8. */
  readonly maxBytes: number;
  /** Arrays and objects inside each other; a bare number has depth 0, `[]` has depth 1. At most 512. */
  readonly maxDepth: number;
  /** All values of the document together: the document itself, every item, every member. */
  readonly maxNodes: number;
}

/** `problem` says what is wrong, `offset` at which byte. */
export type JsonOutcome =
  | { readonly value: JsonValue; readonly problem?: undefined; readonly offset?: undefined }
  | { readonly problem: string; readonly offset: number; readonly value?: undefined };

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const lenientUtf8 = new TextDecoder('utf-8', { ignoreBOM: true });
const utf8 = new TextEncoder();

/**
 * Reads one JSON document. Refused: a byte order mark, invalid UTF-8, lone surrogates, duplicate members (however their
 * names are spelled), data after the document, numbers no double can hold, and whatever exceeds a limit. Objects are
 * ordinary ones in which `__proto__` and `constructor` are own members like any other, so test with `Object.hasOwn`.
 * Integers beyond 2^53 come out as the nearest double.
 */
export function parseJson(bytes: Uint8Array, limits: JsonLimits): JsonOutcome {
  if (limits.maxDepth > 512) throw new Error('defect: maxDepth is at most 512, the scan is recursive');
  const { maxBytes } = limits;
  if (bytes.length > maxBytes) return { problem: `larger than ${maxBytes} bytes`, offset: maxBytes };
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) {
    return { problem: 'starts with a byte order mark', offset: 0 };
  }
  let text: string;
  try {
    text = strictUtf8.decode(bytes);
  } catch {
    return { problem: 'not valid UTF-8', offset: firstInvalidByte(bytes) };
  }
  try {
    new Scan(text, limits).document();
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { problem: error.message, offset: utf8.encode(text.slice(0, error.at)).length };
  }
  // The scan accepts a subset of what JSON.parse does; JSON.parse makes `__proto__` an own member.
  return { value: JSON.parse(text) as JsonValue };
}

/** Where the text, decoded leniently, has a replacement character that the bytes do not spell. */
function firstInvalidByte(bytes: Uint8Array): number {
  const text = lenientUtf8.decode(bytes);
  let offset = 0;
  let from = 0;
  for (;;) {
    const at = text.indexOf('\ufffd', from);
    if (at < 0) return offset;
    offset += utf8.encode(text.slice(from, at)).length;
    if (bytes[offset] !== 0xef || bytes[offset + 1] !== 0xbf || bytes[offset + 2] !== 0xbd) return offset;
    offset += 3;
    from = at + 1;
  }
}

class Fault extends Error {
  readonly at: number;

  constructor(problem: string, at: number) {
    super(problem);
    this.at = at;
  }
}

/** One pass over the text that builds nothing but the names of the objects it is inside of. */
class Scan {
  private readonly text: string;
  private readonly maxDepth: number;
  private readonly maxNodes: number;
  private at = 0;
  private nodes = 0;

  constructor(text: string, limits: JsonLimits) {
    this.text = text;
    this.maxDepth = limits.maxDepth;
    this.maxNodes = limits.maxNodes;
  }

  document(): void {
    this.blank();
    this.value(0);
    this.blank();
    if (this.at < this.text.length) throw new Fault('data after the document', this.at);
  }

  private value(depth: number): void {
    this.nodes += 1;
    if (this.nodes > this.maxNodes) throw new Fault(`more than ${this.maxNodes} values`, this.at);
    const code = this.text.charCodeAt(this.at);
    if (code === 0x22) this.string();
    else if (code === 0x7b) this.object(depth + 1);
    else if (code === 0x5b) this.array(depth + 1);
    else if (code === 0x2d || isDigit(code)) this.number();
    else if (code === 0x74) this.word('true');
    else if (code === 0x66) this.word('false');
    else if (code === 0x6e) this.word('null');
    else throw new Fault(this.at < this.text.length ? 'not a value' : 'ends too early', this.at);
  }

  private object(depth: number): void {
    if (this.open(depth, 0x7d)) return;
    const names = new Set<string>();
    do {
      this.blank();
      const start = this.at;
      if (this.text.charCodeAt(start) !== 0x22) throw new Fault('a member name is missing', start);
      const name = this.name();
      if (names.has(name)) throw new Fault(`duplicate member${quoted(name)}`, start);
      names.add(name);
      this.blank();
      if (this.text.charCodeAt(this.at) !== 0x3a) throw new Fault('`:` is missing after a member name', this.at);
      this.at += 1;
      this.blank();
      this.value(depth);
    } while (this.another(0x7d));
  }

  private array(depth: number): void {
    if (this.open(depth, 0x5d)) return;
    do {
      this.blank();
      this.value(depth);
    } while (this.another(0x5d));
  }

  /** Steps into an array or object; true when it is empty and left again. */
  private open(depth: number, closing: number): boolean {
    if (depth > this.maxDepth) throw new Fault(`deeper than ${this.maxDepth} levels`, this.at);
    this.at += 1;
    this.blank();
    if (this.text.charCodeAt(this.at) !== closing) return false;
    this.at += 1;
    return true;
  }

  private another(closing: number): boolean {
    this.blank();
    const code = this.text.charCodeAt(this.at);
    if (code !== 0x2c && code !== closing) {
      throw new Fault(this.at < this.text.length ? '`,` or the closing bracket is missing' : 'ends too early', this.at);
    }
    this.at += 1;
    return code === 0x2c;
  }

  private name(): string {
    const start = this.at;
    const escaped = this.string();
    return escaped ? JSON.parse(this.text.slice(start, this.at)) as string : this.text.slice(start + 1, this.at - 1);
  }

  /** Moves behind a string; true when it holds an escape. */
  private string(): boolean {
    const { text } = this;
    let escaped = false;
    let at = this.at + 1;
    for (;;) {
      const code = text.charCodeAt(at);
      if (code === 0x22) break;
      if (code === 0x5c) {
        escaped = true;
        at = this.escape(at);
      } else if (code >= 0x20) {
        at += 1;
      } else {
        throw new Fault(at < text.length ? 'a control character in a string' : 'ends inside a string', at);
      }
    }
    this.at = at + 1;
    return escaped;
  }

  private escape(at: number): number {
    if (this.text.charCodeAt(at + 1) !== 0x75) {
      if (!'"\\/bfnrt'.includes(this.text.charAt(at + 1) || '?')) throw new Fault('unknown escape', at);
      return at + 2;
    }
    const unit = this.codeUnit(at);
    if (unit < 0xd800 || unit > 0xdfff) return at + 6;
    const isPair = unit < 0xdc00 && this.text.startsWith('\\u', at + 6);
    const low = isPair ? this.codeUnit(at + 6) : 0;
    if (low < 0xdc00 || low > 0xdfff) throw new Fault('a lone surrogate', at);
    return at + 12;
  }

  private codeUnit(at: number): number {
    const hex = this.text.slice(at + 2, at + 6);
    if (!/^[0-9a-fA-F]{4}$/.test(hex)) throw new Fault('`\\u` needs four hexadecimal digits', at);
    return Number.parseInt(hex, 16);
  }

  private number(): void {
    const start = this.at;
    if (this.text.charCodeAt(this.at) === 0x2d) this.at += 1;
    if (this.text.charCodeAt(this.at) === 0x30) this.at += 1;
    else this.digits();
    let isPlain = true;
    if (this.text.charCodeAt(this.at) === 0x2e) {
      this.at += 1;
      this.digits();
    }
    if ((this.text.charCodeAt(this.at) | 0x20) === 0x65) {
      isPlain = false;
      this.at += 1;
      const sign = this.text.charCodeAt(this.at);
      if (sign === 0x2b || sign === 0x2d) this.at += 1;
      this.digits();
    }
    // Without an exponent it takes 309 digits to leave the range of a double.
    if (isPlain && this.at - start < 309) return;
    if (!Number.isFinite(Number(this.text.slice(start, this.at)))) throw new Fault('a number too large', start);
  }

  private digits(): void {
    const start = this.at;
    while (isDigit(this.text.charCodeAt(this.at))) this.at += 1;
    if (this.at === start) throw new Fault('a digit is missing', start);
  }

  private word(word: string): void {
    if (!this.text.startsWith(word, this.at)) throw new Fault('not a value', this.at);
    this.at += word.length;
  }

  private blank(): void {
    for (;;) {
      const code = this.text.charCodeAt(this.at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.at += 1;
    }
  }
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/** Long or unprintable names would only carry the sender's bytes into a log. */
function quoted(name: string): string {
  return /^[\x21-\x5f\x61-\x7e]{1,64}$/.test(name) ? ` \`${name}\`` : '';
}
