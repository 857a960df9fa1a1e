import assert from 'node:assert/strict';
import { test } from 'node:test';
import { benchResult, compare, formatResult, interleave, median } from './result.ts';

test('every candidate runs once a round, in changing order, and warm-ups do not count', async () => {
  const order: string[] = [];
  const record = (name: string) => (): number => order.push(name);
  const figures = await interleave({ rounds: 3, warmups: 1, candidates: { floor: record('floor'), ours: record('ours') } });
  assert.deepEqual(order, ['ours', 'floor', 'floor', 'ours', 'ours', 'floor', 'floor', 'ours']);
  assert.deepEqual(figures, { floor: [3, 6, 7], ours: [4, 5, 8] });
});

test('ours is compared with the floor round by round', async () => {
  const ours = [0, 10, 40, 90].values();
  const floor = [0, 10, 20, 10].values();
  const row = await compare({ case: 'one', rounds: 3, ours: () => ours.next().value!, floor: () => floor.next().value! });
  assert.deepEqual(row, { case: 'one', ours: [10, 40, 90], floor: [10, 20, 10], ratioMedian: 2 });
});

test('a case whose floor varies more than twice is void, one at exactly twice is not', () => {
  const row = { ours: [1, 1], ratioMedian: 1 };
  const rows = [{ ...row, case: 'steady', floor: [1, 2] }, { ...row, case: 'shaken', floor: [1, 2.1] }, { ...row, case: 'empty', floor: [0, 0] }];
  const result = benchResult({ name: 'x', unit: 'MB/s', rows });
  assert.deepEqual(result.void, ['shaken: the floor varied 2.1×', 'empty: the floor varied NaN×']);
  assert.match(formatResult(result), /^x \(MB\/s\)\ncase .*\nsteady .*\nshaken .*\nempty .*\nvoid: shaken/);
});

test('the median of an even number of figures lies between the middle two', () => {
  assert.deepEqual([median([3, 1, 2]), median([4, 1, 2, 3])], [2, 2.5]);
});
