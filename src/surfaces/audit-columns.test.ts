import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { auditColumns } from './audit-columns.ts';

const row = { at: 'then', outcome: 'success', action: 'role.create', actor: { type: 'user', path: 'alice' }, scope: 'payments', resource: { path: 'payments/ci' }, detail: null };

describe('a row of the audit is shown', () => {
  const rows: readonly (readonly [name: string, item: Readonly<Record<string, unknown>>, columns: readonly string[]])[] = [
    ['with who did what to what', row, ['then', 'success', 'role.create', 'user:alice', 'payments/ci', '']],
    ['without the name that was erased', { ...row, actor: { type: 'user', path: null } }, ['then', 'success', 'role.create', 'user:(erased)', 'payments/ci', '']],
    ['without anybody, where nobody is known', { ...row, actor: null, resource: null }, ['then', 'success', 'role.create', '-', '', '']],
    ['with why it was refused and which permission was missing, and where, if what was asked for has no name',
      { ...row, outcome: 'refused', resource: null, detail: { code: 'access.denied', evidence: { permission: 'role.create' } } },
      ['then', 'refused', 'role.create', 'user:alice', 'payments', 'access.denied role.create']],
    ['with why it was refused, if that was no permission', { ...row, outcome: 'refused', detail: { code: 'resource.conflict' } }, ['then', 'refused', 'role.create', 'user:alice', 'payments/ci', 'resource.conflict']],
  ];
  for (const [name, item, columns] of rows) test(name, () => assert.deepEqual(auditColumns(item), columns));
});
