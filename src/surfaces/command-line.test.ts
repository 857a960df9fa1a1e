import assert from 'node:assert/strict';
import { test } from 'node:test';
import { table } from './command-line.ts';

test('a table has one row a line, whatever others wrote into its cells', () => {
  assert.deepEqual(table([['a', 'x\ny', 'z'], ['bb', '\u001b[2J', '\r']]), ['a   x\ufffdy   z', 'bb  \ufffd[2J  \ufffd']);
});
