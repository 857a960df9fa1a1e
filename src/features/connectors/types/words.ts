/** What connectors of all types have in common. */
import { z } from 'zod';
import { duration, scopePattern } from '#kernel/marks.ts';
import { mintPolicy as policy } from '../mint-policy.ts';
import { subjectTemplate } from '../subject-template.ts';

export const subject = subjectTemplate;

export const usableFrom = z.array(scopePattern).max(200).optional();

export const audience = z.string().max(512).regex(/^[\x21-\x7e]+$/, { error: 'must be printable ASCII without spaces' });

export const mintPolicy = policy.optional().describe('which steps are given tokens; without it all that may use the connector');

/** Minted tokens live minutes: a step asks again rather than hold one. */
export const ttl = duration({ minSeconds: 60, maxSeconds: 3_600 }).default('10m');

/** What tokens for it are signed with. */
export const algorithm = z.enum(['RS256', 'ES256']).optional().describe('what its tokens are signed with: RS256, which everybody takes, unless it says ES256');

/** Plain http is refused when it is asked, unless the operator has listed the origin. */
export const endpoint = z
  .string()
  .max(1_000)
  .regex(/^[\x21-\x7e]+$/, { error: 'must be a URL without spaces' })
  .refine(isEndpoint, { error: 'must be an https URL without user, query and fragment' });

function isEndpoint(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && ['https:', 'http:'].includes(url.protocol) && url.username === '' && url.password === '' && !/[?#]/.test(text);
}

/** One type of connector: what its document says, and what follows from it. One file each. */
export interface ConnectorType<S> {
  readonly category: 'CLOUD_PROVIDER' | 'IDENTITY' | 'SECRET_STORE';
  /** What a token for it may be for; the first one unless somebody says which. */
  readonly audiences: (spec: S) => readonly string[];
  /** Fields that say where tokens are sent: whoever sets them receives them (CONTRACTS §5). */
  readonly endpoints: readonly (keyof S & string)[];
}
