/**
 * Pages with transcripts: blocks of `console` hold commands, each behind `$ `, and what they print. A test types the commands
 * and compares. `…` stands for anything within a line, and for any lines where it has a line of its own.
 */
import assert from 'node:assert/strict';
import type { ShellTerminal } from './terminal.ts';

export interface Block {
  readonly language: string;
  readonly text: string;
}

export interface Step {
  readonly command: string;
  readonly prints: string;
}

/** Said on a terminal by what takes longer than a second. */
const progress = /^\w+ing .* …\n/gm;

export function blocksOf(page: string): readonly Block[] {
  const blocks = [...page.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, language = '', text = '']) => ({ language, text }));
  assert.equal(blocks.length, [...page.matchAll(/^```/gm)].length / 2, 'every block begins and ends at the margin');
  return blocks;
}

/** The commands of a `console` block, in their order. One goes on in lines behind `> `. */
export function stepsOf({ text }: Block): readonly Step[] {
  const steps = text.split(/^\$ /m);
  assert.equal(steps.shift(), '', 'a block begins with a command');
  return steps.map((step) => {
    const [, command = '', prints = ''] = /^([^\n]*\n(?:> [^\n]*\n)*)(.*)$/s.exec(step) ?? [];
    return { command: command.replaceAll('\n> ', '\n').replace(/\s+# .*$/, '').trimEnd(), prints: prints.trimEnd() };
  });
}

/** Types it and compares; `known` is what the reader puts in place of what the page cannot know. */
export async function play(terminal: ShellTerminal, { command, prints }: Step, known: ReadonlyMap<string, string>): Promise<void> {
  const placed = (text: string): string => [...known].reduce((result, [from, to]) => result.replaceAll(from, to), text);
  const { output } = await terminal.run(placed(command));
  const printed = output.replaceAll(progress, '').trimEnd();
  if (!printsLike(placed(prints), printed)) assert.equal(printed, placed(prints));
}

function printsLike(prints: string, output: string): boolean {
  const pattern = prints.split('\n').map((line) => (line === '…' ? '(?:.*\\n)*.*' : line.split('…').map((part) => RegExp.escape(part)).join('.*')));
  return new RegExp(`^${pattern.join('\\n')}$`).test(output);
}
