import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planOf, record, run, stageOf } from '#test/pipelines/documents.ts';
import { initialState } from '#features/pipelines/state.ts';
import type { State } from '#features/pipelines/state.ts';
import { haveRoom } from './outputs.ts';

/** A step that was given so many secrets. */
function given(secrets: number): State {
  const state = initialState(planOf(stageOf(run('a'))), record);
  const attempt = {
    number: 1, status: 'started' as const, runner: 'r', fence: '1', leaseUntilMs: 1, exit: null,
    taint: { secrets: Array.from({ length: secrets }, (_, i) => `secret-${i}`), untrusted: false },
  };
  return { ...state, steps: state.steps.map((step) => ({ ...step, attempts: [attempt] })) };
}

const outputs = (count: number, text = '') => ({ rows: [], events: Array.from({ length: count }, (_, i) => ({ name: `o${i}`, value: { text }, secrets: [], untrusted: false })) });

const rows: readonly [says: string, state: State, ready: ReturnType<typeof outputs>, room: boolean][] = [
  ['many short outputs of a step without secrets have room', given(0), outputs(64, 'x'), true],
  ['two mebibytes have room', given(0), outputs(2, 'x'.repeat(1024 * 1024)), true],
  ['one byte more has none', given(0), outputs(2, 'x'.repeat(1024 * 1024 + 1)), false],
  ['many empty outputs of a step that was given a thousand secrets have none: each is kept with all of them', given(1_000), outputs(64), false],
  ['few of them have', given(1_000), outputs(8), true],
];

for (const [says, state, ready, room] of rows) {
  test(says, () => assert.equal(haveRoom(state, 's.a', ready), room));
}
