/**
 * Claims as AWS takes them for tags of a session: one claim with all of them, the values as lists. What is not known is an
 * empty tag, so that a policy can tell it from one that is left out.
 */
import type { SessionTagName } from '#features/connectors/schema.ts';
import type { MintedClaims } from './claims.ts';

const claim = 'https://aws.amazon.com/tags';

export function sessionTagsOf(claims: MintedClaims, names: readonly SessionTagName[]): Readonly<Record<string, unknown>> {
  if (names.length === 0) return {};
  return { [claim]: { principal_tags: Object.fromEntries(names.map((name) => [name, [String(claims[name] ?? '')]])) } };
}
