import assert from 'node:assert/strict';
import { test } from 'node:test';
import { timeoutMs } from './timeout.ts';

const table: readonly [text: string, ms: number | null][] = [
  ['1s', 1000], ['90s', 90_000], ['10m', 600_000], ['1h 30m', 5_400_000], ['1h30m', 5_400_000], ['2d', 172_800_000], ['2w', 1_209_600_000],
  ['30d', 2_592_000_000], ['31d', null], ['5w', null], ['0s', null], ['', null], ['10', null], ['-1s', null], ['1.5h', null], ['1 s', null],
  ['10ms', null], [' 1s', null], ['1s ', null], ['1s\n', null], ['1y', null], ['9999999s', null], ['1s 1s 1s 1s 1s 1s', null], [`${'1s '.repeat(50)}`, null],
];

for (const [text, ms] of table) {
  test(`${JSON.stringify(text.slice(0, 20))} is ${ms === null ? 'no duration' : `${ms} ms`}`, () => assert.equal(timeoutMs(text), ms));
}
