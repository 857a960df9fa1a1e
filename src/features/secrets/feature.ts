/** Secrets: the kind, and `secrets.getValue`. */
import type { Manifest } from '#kernel/manifest.ts';
import { refusal } from '#kernel/errors.ts';
import { entryPath } from '#kernel/world.ts';
import { openSecret } from '#features/resources/feature.ts';
import type { Database } from '#platform/database/database.ts';
import type { Delivery } from '#platform/delivery.ts';
import type { Keyring } from '#platform/keyring.ts';
import { secretKind } from './schema.ts';

export const secrets = { name: 'secrets', kinds: [secretKind] } satisfies Manifest;

export const getValue = {
  name: 'secrets.getValue',
  parameters: { min: 1, max: 1 },
  summary: 'the value of a secret, by reference',
  example: '<+secrets.getValue("org.db_password")>',
  kind: 'secret',
} as const;

export function secretDelivery(services: { readonly database: Database; readonly keyring: Keyring }): Delivery {
  return {
    ...getValue,
    async deliver({ account, entry, facts, attemptId }) {
      const value = await openSecret(services, account.id, entry.uid, '/value');
      if (value === null) throw refusal('expression.unresolved', { say: `the secret \`${entryPath(entry)}\` has no value` });
      return {
        value,
        act: {
          action: 'secret.use',
          scope: `${facts.organization.identifier}/${facts.project.identifier}`,
          resource: { kind: 'secret', uid: entry.uid, path: entryPath(entry) },
          detail: { execution: facts.executionId, attempt: attemptId },
        },
      };
    },
  };
}
