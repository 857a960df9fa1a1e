/** The form of the token endpoint (RFC 8693 §2.1). Every parameter is known, or refused. */
import { z } from 'zod';
import { refusal } from '#kernel/errors.ts';
import { maxTokenLength } from './schema.ts';

const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token';
const subjectTokenTypes = ['urn:ietf:params:oauth:token-type:jwt', 'urn:ietf:params:oauth:token-type:id_token', accessTokenType] as const;

const notOffered = z.never({ error: 'is not offered yet' }).optional();
const targets = z.array(z.string().max(2_000)).max(10).optional();

/**
 * RFC 6749 §3.2: a parameter without a value counts as left out. A grant type that is not ours is said to be that before
 * its parameters are looked at.
 */
function readForm(form: unknown): unknown {
  if (typeof form !== 'object' || form === null) return {};
  const given = Object.entries(form).flatMap(([name, value]): [string, unknown][] => {
    const kept: unknown = Array.isArray(value) ? value.filter((item) => item !== '') : value;
    return kept === '' || (Array.isArray(kept) && kept.length === 0) ? [] : [[name, kept]];
  });
  const request: Record<string, unknown> = Object.fromEntries(given);
  const grantType = request['grant_type'];
  if (grantType !== undefined && grantType !== tokenExchange) throw refusal('oauth.unsupported_grant_type');
  return request;
}

export const tokenRequest = z.preprocess(
  readForm,
  z.strictObject({
    grant_type: z.literal(tokenExchange, { error: `must be ${tokenExchange}` }),
    subject_token: z.string({ error: 'is needed' }).max(maxTokenLength, { error: `must have at most ${maxTokenLength} characters` }),
    subject_token_type: z.enum(subjectTokenTypes, { error: `must be one of ${subjectTokenTypes.join(' ')}` }),
    requested_token_type: z.literal(accessTokenType, { error: `must be ${accessTokenType}` }).optional(),
    audience: targets,
    resource: targets,
    /** Public clients name themselves (RFC 6749 §4.1.3); the subject token alone says who is asking. */
    client_id: z.string().max(2_000).optional(),
    scope: notOffered,
    authorization_details: notOffered,
    actor_token: notOffered,
    actor_token_type: notOffered,
  }),
);
export type TokenRequest = z.infer<typeof tokenRequest>;

export const tokenAnswer = z.strictObject({
  access_token: z.string(),
  issued_token_type: z.literal(accessTokenType),
  token_type: z.literal('Bearer'),
  expires_in: z.number().int().describe('seconds'),
});

/** RFC 8693 §2.2.2, RFC 8707 §2: a session is good here and nowhere else. */
export function refuseOtherTargets({ audience = [], resource = [] }: TokenRequest, issuer: string): void {
  if ([...audience, ...resource].some((target) => target !== issuer)) throw refusal('oauth.invalid_target');
}
