/** Secrets: values kept sealed, written and never read back; they reach one attempt of a step, sealed to its runner. */
import { z } from 'zod';
import { usableFrom, usableFromGives } from '#features/connectors/schema.ts';
import type { UsableFacts } from '#features/connectors/schema.ts';
import { maskability } from '#features/masking/schema.ts';
import type { Kind } from '#kernel/kind.ts';
import { marked } from '#kernel/marks.ts';

/** A value that cannot be found again in a log cannot be kept out of it, so it is not taken. */
const value = z.string().superRefine((text, context) => {
  const verdict = maskability(text);
  if (verdict !== 'maskable') context.addIssue({ code: 'custom', message: verdict.problem });
});

const secretSpec = z.strictObject({ type: z.literal('text'), value: marked(value, { secret: true }).optional(), usableFrom });
type SecretSpec = z.infer<typeof secretSpec>;

export const secretKind: Kind<SecretSpec> = {
  name: 'secret',
  levels: ['account', 'org', 'project'],
  verbs: ['view', 'create', 'edit', 'delete', 'access', 'govern'],
  spec: secretSpec,
  version: 1,
  facts: ({ spec }): UsableFacts => ({ usableFrom: spec.usableFrom ?? [] }),
  check: (draft) => (draft.isNew && !draft.secretsGiven.includes('/value') ? [{ pointer: '', message: 'a new secret needs `value`, or `valueFrom: { env | file | stdin }` in a manifest file' }] : []),
  gives: usableFromGives,
};
