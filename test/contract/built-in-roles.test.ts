/** What the built-in roles hold, in the words of the whole product. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { builtin, builtins } from '#features/access/builtins.ts';
import { permissionsOf } from '#features/access/roles.ts';
import type { RoleFacts } from '#features/access/schema.ts';
import { describeApp } from '../../src/describe.ts';

const { kinds } = describeApp();
/** Held by the executor for the day templates are there. */
const unknownYet = ['template.access', 'template.view'];

function holds(identifier: string): string[] {
  return [...permissionsOf(builtin('role', identifier)!.facts as RoleFacts, kinds)].map(({ permission }) => permission).sort();
}

describe('a built-in role', () => {
  for (const level of ['account', 'org', 'project']) {
    test(`of viewers holds exactly every view of the administrator: ${level}`, () => {
      const views = holds(`${level}_admin`).filter((permission) => permission.endsWith('.view'));
      assert.ok(views.length > 5);
      assert.deepEqual(holds(`${level}_viewer`), views);
    });
  }

  test('account_admin holds every permission of the product', () => {
    assert.deepEqual(holds('account_admin'), [...kinds.permissions()].sort());
  });

  test('names no permission that does not exist', () => {
    const named = builtins('role').flatMap(({ facts }) => {
      const { permissions } = facts as RoleFacts;
      return typeof permissions === 'string' ? [] : [...permissions];
    });
    assert.deepEqual([...new Set(named)].filter((permission) => kinds.permission(permission) === null).sort(), unknownYet);
  });

  const narrow: readonly [role: string, holds: readonly string[], lacks: readonly string[]][] = [
    ['audit_reader', ['audit.view', 'session.view'], ['secret.view', 'role_binding.view']],
    ['access_manager', ['role_binding.create', 'user_group.edit', 'access.explain'], ['role.bind', 'user.edit', 'secret.view', 'trusted_issuer.view']],
    ['secret_manager', ['secret.edit', 'secret_manager.edit'], ['secret.access', 'connector.view']],
    ['runner_manager', ['runner.create', 'secret.access', 'connector.access'], ['secret.view', 'pipeline.execute']],
    ['federation_manager', ['trusted_issuer.edit', 'claim_mapping.edit', 'session.delete'], ['role_binding.create', 'role.edit', 'secret.view']],
  ];
  for (const [role, has, lacks] of narrow) {
    test(`that is narrow holds its own part and no more: ${role}`, () => {
      const held = holds(role);
      assert.deepEqual([has.filter((one) => !held.includes(one)), lacks.filter((one) => held.includes(one))], [[], []]);
    });
  }
});
