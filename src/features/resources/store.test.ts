import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { z } from 'zod';
import type { Kind } from '#kernel/kind.ts';
import { Kinds } from '#kernel/kind.ts';
import type { ResourceRow } from './store.ts';
import { entryOf, readRow } from './store.ts';

interface Window {
  readonly opensAtMinutes: number;
  readonly days: readonly string[];
}

/** First `{ hour, day }`, then `{ minutes, day }`, now many days: what two changes of mind leave behind. */
const window: Kind<Window> = {
  name: 'window',
  levels: ['account'],
  verbs: ['view', 'create', 'edit', 'delete'],
  spec: z.strictObject({ opensAtMinutes: z.int(), days: z.array(z.string()) }),
  version: 3,
  upgraders: [
    (old) => {
      const { hour, ...rest } = old as { hour: number; day: string };
      return { ...rest, opensAtMinutes: hour * 60 };
    },
    (old) => {
      const { day, ...rest } = old as { opensAtMinutes: number; day: string };
      return { ...rest, days: [day] };
    },
  ],
  attributes: { opensAtMinutes: (spec) => spec.opensAtMinutes },
  facts: ({ spec }) => spec.days.join(' '),
};
const kinds = new Kinds([], [window]);

function row(spec_version: number, spec: object, more: Partial<ResourceRow> = {}): ResourceRow {
  return {
    account_id: '00000000-0000-7000-8000-000000000001', uid: '00000000-0000-7000-8000-000000000002', kind: 'window', scope_uid: '00000000-0000-7000-8000-000000000001',
    scope: '/', identifier: 'nights', name: null, description: null, tags: {}, spec, spec_version, refs: {}, version: 7, applied_set: null,
    created_at: '2026-06-01T12:00:00.000Z', created_by: 'user:alice', updated_at: new Date('2026-06-02T12:00:00Z'), updated_by: 'user:alice', ...more,
  };
}

const present = { opensAtMinutes: 1_320, days: ['sunday'] };

describe('a stored spec is read as this release has it when it was stored in', () => {
  for (const [version, spec] of [[1, { hour: 22, day: 'sunday' }], [2, { opensAtMinutes: 1_320, day: 'sunday' }], [3, present]] as const) {
    test(`version ${version}`, () => {
      const before = structuredClone(spec);
      const read = readRow(kinds, row(version, spec));
      assert.deepEqual(read.spec, present);
      assert.deepEqual(window.spec.parse(read.spec), present);
      assert.deepEqual(spec, before, 'the row was changed');
    });
  }

  test('version 1, of another node’s change, with its times as text', () => {
    const read = readRow(kinds, JSON.parse(JSON.stringify(row(1, { hour: 22, day: 'sunday' }))) as ResourceRow);
    assert.deepEqual([read.spec, read.version, read.updatedAt], [present, 7, new Date('2026-06-02T12:00:00Z')]);
  });

  test('version 1, and what the engine holds of it is of the lifted spec', () => {
    const { attributes, facts } = entryOf(kinds, readRow(kinds, row(1, { hour: 22, day: 'sunday' })));
    assert.deepEqual([attributes, facts], [{ opensAtMinutes: 1_320 }, 'sunday']);
  });
});

describe('a row of a newer release is refused with what to do about it', () => {
  const rows: readonly [what: string, row: ResourceRow, because: string][] = [
    ['a spec of a later version', row(4, { ...present, zone: 'UTC' }), 'the stored `window` has version 4, and 3 is the newest known here'],
    ['a kind that came later', row(1, {}, { kind: 'curtain' }), 'no kind `curtain` is known here'],
  ];
  for (const [what, newer, because] of rows) {
    test(what, () => {
      assert.throws(() => readRow(kinds, newer), { code: 'access.stale', say: 'this node is of an older release than the one that wrote this; upgrade it', because });
    });
  }
});

describe('a kind with a version nobody can lift to is not declared', () => {
  for (const [what, version, upgraders] of [['an upgrader is missing', 3, window.upgraders!.slice(1)], ['there is one too many', 2, window.upgraders!], ['there are none', 2, undefined]] as const) {
    test(what, () => {
      const { upgraders: _, ...rest } = window;
      assert.throws(() => new Kinds([], [{ ...rest, version, ...(upgraders === undefined ? {} : { upgraders }) }]), /each version before it needs its upgrader/);
    });
  }
});
