import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileMaskSet } from '#features/masking/mask-set.ts';
import { resultBody } from '#features/runners/schema.ts';
import { errorResult, messageOf, resultOf } from './attempt-result.ts';
import { maxOutputVariableBytes } from './outputs.ts';
import type { StepExit } from './sandbox.ts';

const total = { bytes: 0, sha256: '0'.repeat(64) };
const logs = { stdout: total, stderr: total, truncated: false };
const set = compileMaskSet([{ name: 'key', value: 'pass word' }]);

const endings: readonly { guarantee: string; exit: StepExit; is: readonly [string, number | null, string | null] }[] = [
  { guarantee: 'code 0 is success', exit: { code: 0, signal: null, outputs: {} }, is: ['success', 0, null] },
  { guarantee: 'any other code is a failure', exit: { code: 255, signal: null, outputs: {} }, is: ['failure', 255, null] },
  { guarantee: 'a signal is a failure', exit: { code: null, signal: 'SIGSEGV', outputs: {} }, is: ['failure', null, 'SIGSEGV'] },
  { guarantee: 'a timeout is a timeout whatever the code', exit: { code: 0, signal: null, outputs: {}, reason: 'timeout' }, is: ['timeout', 0, null] },
  { guarantee: 'a cancelled step is cancelled whatever the code', exit: { code: 0, signal: null, outputs: {}, reason: 'cancelled' }, is: ['cancelled', 0, null] },
  { guarantee: 'too much output is an error', exit: { code: null, signal: 'SIGKILL', outputs: {}, reason: 'output_limit' }, is: ['error', null, 'SIGKILL'] },
  { guarantee: 'outputs that are too large are an error', exit: { code: 0, signal: null, outputs: {}, reason: 'outputs_too_large' }, is: ['error', 0, null] },
];
for (const { guarantee, exit, is } of endings) {
  test(guarantee, () => {
    const result = resultOf(exit, logs, set);
    assert.deepEqual([result.exit, result.code, result.signal], is);
    assert.equal(resultBody.safeParse({ protocol: 1, fence: 1, result }).success, true);
  });
}

test('outputs that would not fit into a message once they are escaped are an error, not a broken message', () => {
  const result = resultOf({ code: 0, signal: null, outputs: { A: '\u0001'.repeat(maxOutputVariableBytes - 10) } }, logs, set);
  assert.deepEqual([result.exit, result.outputs], ['error', []]);
});

test('what goes wrong is told masked and cut, and nothing of a secret is left at the cut', () => {
  const message = `${'x'.repeat(1_995)}pass word`;
  assert.equal(messageOf(message, set), `${'x'.repeat(1_995)}***`);
  assert.equal(errorResult(`it said pass word ${'y'.repeat(5_000)}`, logs, set).message?.length, 2_000);
  assert(!messageOf(`it said pass word`, set).includes('pass word'));
});

test('a character cut in two does not make a message nobody can read', () => {
  assert.equal(messageOf(`${'x'.repeat(1_999)}😀`, null).isWellFormed(), true);
});
