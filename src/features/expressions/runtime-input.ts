import type { Refusal } from '#kernel/errors.ts';
import { nearest } from '#kernel/identifier.ts';
import { templateBytesMax } from './limits.ts';
import { quoted, refusalAt } from './place.ts';
import type { Base, Data, Source } from './schema.ts';

/** A field that the one who starts the pipeline fills in. */
export interface RuntimeInput {
  readonly default?: Data;
  readonly allowedValues?: readonly Data[];
}

const marker = '<+input>';
const allowedValuesMax = 500;
const modifierName = /\s*\.\s*([A-Za-z]+)\s*\(/y;
const scalar = /\s*("(?:[^"\\]|\\["\\])*"|'(?:[^'\\]|\\['\\])*'|[^"',()<>\s][^,()<>]*)\s*/y;

/**
 * Reads a runtime input: `<+input>`, followed by `.default(x)` and `.allowedValues(a, b)` in any order, with nothing
 * else in the text. Gives null for every other text. Values are quoted strings, or bare words, of which `true`,
 * `false`, `null` and numbers in their shortest spelling keep their type (`1.10` stays text).
 */
export function parseRuntimeInput(text: string, base: Base = { line: 1, column: 1 }): RuntimeInput | null {
  const start = text.length - text.trimStart().length;
  if (!text.startsWith(marker, start)) return null;
  const after = text.slice(start + marker.length).trim();
  if (after !== '' && !after.startsWith('.')) return null;
  const source: Source = { text, base };
  if (text.length > templateBytesMax) throw refusalAt(source, start, 'expression.limit', 'this input is too long');
  return new Reader(source, start + marker.length).modifiers();
}

class Reader {
  private readonly source: Source;
  private at: number;

  constructor(source: Source, at: number) {
    this.source = source;
    this.at = at;
  }

  modifiers(): RuntimeInput {
    const input: { default?: Data; allowedValues?: readonly Data[] } = {};
    const end = this.source.text.trimEnd().length;
    while (this.at < end) {
      const at = this.at;
      const name = this.match(modifierName)?.[1];
      if (name === undefined) {
        throw this.invalid(at, 'after `<+input>` only `.default(…)` and `.allowedValues(…)` may follow');
      }
      if (name !== 'default' && name !== 'allowedValues') throw this.unsupported(at, name);
      if (input[name] !== undefined) throw this.invalid(at, `\`.${name}(…)\` is written twice`);
      const values = this.values(at, name);
      if (name === 'allowedValues') input.allowedValues = values;
      else if (values.length === 1) input.default = values[0]!;
      else throw this.invalid(at, '`.default(…)` takes one value; quote a value that contains a comma');
    }
    const { default: preset, allowedValues } = input;
    if (preset !== undefined && allowedValues !== undefined && !allowedValues.includes(preset)) {
      throw this.invalid(0, 'the default is not one of the allowed values');
    }
    return input;
  }

  private values(at: number, name: string): readonly Data[] {
    const values: Data[] = [];
    for (;;) {
      const found = this.match(scalar)?.[1];
      if (found === undefined) {
        const say = `\`.${name}(…)\` takes values, like \`.${name}("a")\`; expressions in it are not supported`;
        throw this.invalid(this.at, say);
      }
      values.push(dataOf(found.trimEnd()));
      if (values.length > allowedValuesMax) throw this.invalid(at, `at most ${allowedValuesMax} values are allowed`);
      const next = this.source.text[this.at++];
      if (next === ')') return values;
      if (next !== ',') throw this.invalid(this.at - 1, `\`.${name}(…)\` needs \`,\` or \`)\` here`);
    }
  }

  private match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.source.text);
    if (found !== null) this.at = pattern.lastIndex;
    return found;
  }

  private unsupported(at: number, name: string): Refusal {
    if (name === 'regex' || name === 'executionInput') {
      const instead = name === 'regex' ? '; list the values with `.allowedValues(…)`' : '';
      return this.invalid(at, `\`.${name}(…)\` on an input is not supported yet${instead}`);
    }
    const suggestion = nearest(name, ['default', 'allowedValues']);
    const say = `an input has no modifier ${quoted(name)}`;
    return refusalAt(this.source, at, 'expression.invalid', { say, suggestion });
  }

  private invalid(at: number, say: string): Refusal {
    return refusalAt(this.source, at, 'expression.invalid', say);
  }
}

function dataOf(written: string): Data {
  const mark = written[0];
  if (mark === '"' || mark === "'") return written.slice(1, -1).replace(/\\(.)/gs, '$1');
  if (written === 'true' || written === 'false') return written === 'true';
  if (written === 'null') return null;
  const number = Number(written);
  return Number.isFinite(number) && String(number) === written ? number : written;
}
