import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createLogLines } from './log-lines.ts';
import type { LogChunk } from './log-lines.ts';

const chunk = (text: string, more: Partial<LogChunk> = {}): LogChunk => ({ stage: 'build', step: 'hello', attempt: 1, stream: 'stdout', text, ...more });

describe('the output of steps is printed', () => {
  const rows: readonly [guarantee: string, chunks: readonly LogChunk[], lines: readonly string[]][] = [
    ['line by line, with the step before each', [chunk('a\nb\n')], ['build.hello | a', 'build.hello | b']],
    ['with a line put together from several chunks', [chunk('a'), chunk('b'), chunk('c\nd\n')], ['build.hello | abc', 'build.hello | d']],
    ['with a last line that has no end', [chunk('a\nb')], ['build.hello | a', 'build.hello | b']],
    ['with empty lines', [chunk('\n\na\n')], ['build.hello | ', 'build.hello | ', 'build.hello | a']],
    ['without the carriage returns of other systems', [chunk('a\r\nb\r\n')], ['build.hello | a', 'build.hello | b']],
    ['with the lines of steps that run together kept apart', [chunk('a'), chunk('x\n', { step: 'other' }), chunk('b\n')], ['build.other | x', 'build.hello | ab']],
    ['with the two streams of a step kept apart', [chunk('a'), chunk('x\n', { stream: 'stderr' }), chunk('b\n')], ['build.hello | x', 'build.hello | ab']],
    ['with the number of a later attempt', [chunk('a\n', { attempt: 2 })], ['build.hello (attempt 2) | a']],
  ];
  for (const [guarantee, chunks, lines] of rows) {
    test(guarantee, () => {
      const printed: string[] = [];
      const log = createLogLines((line) => printed.push(line));
      for (const each of chunks) log.add(each);
      log.end();
      assert.deepEqual(printed, lines);
    });
  }

  test('in parts when a line never ends, so that it is not kept in memory', () => {
    const printed: string[] = [];
    const log = createLogLines((line) => printed.push(line));
    for (let i = 0; i < 100; i++) log.add(chunk('x'.repeat(10_000)));
    assert.ok(printed.length > 10);
    log.end();
    assert.equal(printed.map((line) => line.slice('build.hello | '.length)).join('').length, 1_000_000);
  });
});
