import { refusal } from '#kernel/errors.ts';
import type { Refusal } from '#kernel/errors.ts';

/** Which rule a token broke; part of the evidence in the audit, so the words stay. */
export type TokenCheck =
  | 'header' | 'algorithm' | 'type' | 'key' | 'signature'
  | 'issuer' | 'audience' | 'expiry' | 'not_before' | 'issued_at' | 'lifetime' | 'subject' | 'token_id' | 'claims' | 'id_drift';

export interface TokenEvidence {
  readonly check: TokenCheck;
  readonly expected?: unknown;
  readonly actual?: unknown;
}

const maxShown = 200;

/** The one refusal of a token that could be read. All of them look the same from outside; the parts differ in audit. */
export function tokenRefusal(
  check: TokenCheck, because: string, seen: { readonly expected?: unknown; readonly actual?: unknown } = {},
): Refusal {
  const evidence: TokenEvidence = {
    check,
    ...('expected' in seen ? { expected: seen.expected } : {}),
    ...('actual' in seen ? { actual: shown(seen.actual) } : {}),
  };
  return refusal('trust.refused', { because, evidence });
}

/** What a stranger wrote, kept short for the audit row. */
function shown(value: unknown): unknown {
  if (value === undefined || value === null) return null;
  if (typeof value === 'number' || typeof value === 'boolean') return value;
  const isShortList = Array.isArray(value) && value.length <= 10 && value.every((item) => typeof item === 'string');
  if (isShortList) return value.map(shown);
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length <= maxShown ? text : `${text.slice(0, maxShown).toWellFormed()}…`;
}
