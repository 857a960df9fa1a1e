/**
 * The form of the token endpoint: RFC 8693 §2.1 and RFC 7523 §2.1, with RFC 8707 and RFC 9396. Every parameter is known, or
 * refused, those too that only other grants of these standards have.
 */
import { z } from 'zod';
import { refusal } from '#kernel/errors.ts';
import { maxTokenLength } from './schema.ts';

const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const jwtBearer = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
export const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token';
const subjectTokenTypes = ['urn:ietf:params:oauth:token-type:jwt', 'urn:ietf:params:oauth:token-type:id_token', accessTokenType] as const;

const notOffered = z.never({ error: 'is not offered' }).optional();
const targets = z.array(z.string().max(2_000)).max(10).optional();
const token = z.string({ error: 'is needed' }).max(maxTokenLength, { error: `must have at most ${maxTokenLength} characters` });

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
  if (grantType === undefined) throw refusal('request.invalid', { errors: [{ pointer: '/grant_type', message: `is needed: ${tokenExchange} or ${jwtBearer}` }] });
  if (grantType !== tokenExchange && grantType !== jwtBearer) throw refusal('oauth.unsupported_grant_type');
  return request;
}

const shared = {
  resource: targets,
  /** Public clients name themselves (RFC 6749 §4.1.3); the token alone says who is asking. */
  client_id: z.string().max(2_000).optional(),
  scope: z.string().max(32_768).optional().describe('permissions to be held to, with blanks between them'),
  authorization_details: z.string().max(32_768).optional().describe('JSON array of `sallyport_grant` to be held to (RFC 9396)'),
  client_secret: notOffered,
  client_assertion: notOffered,
  client_assertion_type: notOffered,
};

const exchangeForm = z.strictObject({
  grant_type: z.literal(tokenExchange),
  subject_token: token,
  subject_token_type: z.enum(subjectTokenTypes, { error: `must be one of ${subjectTokenTypes.join(' ')}` }),
  requested_token_type: z.literal(accessTokenType, { error: `must be ${accessTokenType}` }).optional(),
  audience: targets,
  actor_token: notOffered,
  actor_token_type: notOffered,
  ...shared,
});

const assertionForm = z.strictObject({ grant_type: z.literal(jwtBearer), assertion: token, ...shared });

export const tokenRequest = z.preprocess(readForm, z.discriminatedUnion('grant_type', [exchangeForm, assertionForm]));
export type TokenRequest = z.infer<typeof tokenRequest>;

export const tokenAnswer = z.strictObject({
  access_token: z.string(),
  issued_token_type: z.literal(accessTokenType).optional().describe('for a token exchange'),
  token_type: z.enum(['Bearer', 'DPoP']),
  expires_in: z.number().int().describe('seconds'),
  scope: z.string().optional().describe('as it was asked for'),
  authorization_details: z.array(z.unknown()).optional().describe('as they were asked for'),
});

/** RFC 8693 §2.2.2, RFC 8707 §2: a session is good here and nowhere else. */
export function refuseOtherTargets(request: TokenRequest, issuer: string): void {
  const named = [...(request.resource ?? []), ...(request.grant_type === tokenExchange ? (request.audience ?? []) : [])];
  if (named.some((target) => target !== issuer)) throw refusal('oauth.invalid_target');
}

export function subjectTokenOf(request: TokenRequest): string {
  return request.grant_type === tokenExchange ? request.subject_token : request.assertion;
}
