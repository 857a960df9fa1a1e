/** The words of trust: issuers, claim mappings and sessions. */
import { z } from 'zod';
import { expressionText, selectorList } from '#features/access/schema.ts';
import type { MappingFacts } from '#features/access/schema.ts';
import type { MappingGrant } from '#kernel/caller.ts';
import type { Noun } from '#kernel/kind.ts';
import { duration, ref, scopePath } from '#kernel/marks.ts';
import type { CompiledCondition } from './claim-condition.ts';
import { claimName, claimPointer, condition, scalar } from './claim-condition.ts';
import type { ClaimExpression } from './claim-expression.ts';
import { compileClaimExpression } from './claim-expression.ts';
import type { CompiledGrant } from './scope-grant.ts';
import type { Label } from './label.ts';
import { isCertificates } from './certificates.ts';
import { isLabel } from './label.ts';
import type { UseConditions } from './token-use.ts';
import { presetNames } from './presets.ts';
import type { Preset } from './presets.ts';
import { supportedAlgorithms } from './verify.ts';
import type { IssuerRules, KeySet } from './verify.ts';

export type { ConditionSpec } from './claim-condition.ts';

export { supportedAlgorithms };

export const sessionNoun: Noun = { name: 'session', levels: ['account'], verbs: ['view', 'delete'] };

export const maxSessionSeconds = 86_400;
export const maxTokenLength = 16 * 1_024;

const printable = /^[\x21-\x7e]+$/;

/** Compared byte for byte with `iss`, so it is never normalised. */
const issuerUrl = z
  .string()
  .max(1_000)
  .regex(printable, { error: 'must be a URL without spaces' })
  .refine((text) => isPlainUrl(text) && !/[?#]/.test(text), { error: 'must be an https URL without user, query and fragment' });

const httpUrl = z.string().max(2_000).regex(printable).refine(isPlainUrl, { error: 'must be an https URL without user and fragment' });

const origin = z.string().max(300).refine((text) => URL.parse(text)?.origin === text, { error: 'must be an origin such as `https://keys.example.com`' });

/** Plain http is accepted here and refused when keys are fetched, unless the operator has listed the origin. */
function isPlainUrl(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && (url.protocol === 'https:' || url.protocol === 'http:') && url.username === '' && url.password === '' && !text.includes('#');
}

const jwkSet = z
  .looseObject({ keys: z.array(z.looseObject({})).min(1).max(50) })
  .refine((set) => JSON.stringify(set).length <= 65_536, { error: 'must have at most 65536 characters' });

const certificates = z.string().max(65_536).refine(isCertificates, { error: 'must be one to ten certificates in PEM, `-----BEGIN CERTIFICATE-----` and so on' });

const keySource = z
  .strictObject({
    discovery: z.literal(true).optional(),
    allowedOrigins: z.array(origin).max(10).optional().describe('origins besides the issuer\'s own its `jwks_uri` may lead to'),
    jwksUri: httpUrl.optional(),
    jwks: jwkSet.optional().describe('for issuers that cannot be reached'),
    ca: certificates.optional().describe('PEM certificates of the authorities of the issuer\'s servers, which are believed instead of the usual ones'),
  })
  .refine(({ ca, jwks }) => ca === undefined || jwks === undefined, { path: ['ca'], error: 'belongs to keys that are fetched' })
  .refine(({ discovery, jwksUri, jwks }) => [discovery, jwksUri, jwks].filter((each) => each !== undefined).length === 1, {
    error: 'must be exactly one of `discovery: true`, `jwksUri` and `jwks`',
  })
  .refine(({ allowedOrigins, discovery }) => allowedOrigins === undefined || discovery === true, {
    path: ['allowedOrigins'],
    error: 'belongs to `discovery: true`',
  });
export type KeySourceSpec = z.infer<typeof keySource>;

export const trustedIssuerSpec = z.strictObject({
  issuer: issuerUrl,
  preset: z.enum(presetNames).optional(),
  audiences: z.array(z.string().min(1).max(1_000)).min(1, { error: 'must name at least one audience' }).max(50),
  keys: keySource,
  algorithms: z.array(z.enum(supportedAlgorithms as [string, ...string[]])).min(1, { error: 'must name at least one algorithm' }).max(20),
  immutableClaims: z.array(claimName).max(50).optional(),
  allowOtherAudiences: z.boolean().optional(),
  clockSkewSeconds: z.number().int().min(0).max(60).optional(),
  maxLifetime: duration({ minSeconds: 60, maxSeconds: 7 * 86_400 }).optional(),
  acknowledgeOwnIssuer: z.literal(true).optional(),
  acceptDirectly: z.boolean().optional().describe('its tokens are also taken as they are, as `Authorization: Bearer`, without an exchange'),
  redactClaims: z.array(claimName).max(50).optional().describe('claims whose values are kept as keyed digests: in the audit, in caught tokens and in traces'),
});
export type TrustedIssuerSpec = z.infer<typeof trustedIssuerSpec>;

/** zod leaves a key called `__proto__` out without a word. */
const scopeMap = z.preprocess(
  (value, context) => {
    if (typeof value === 'object' && value !== null && Object.hasOwn(value, '__proto__')) context.addIssue({ code: 'custom', message: '`__proto__` cannot be a value here' });
    return value;
  },
  z.record(z.string().max(1_000), scopePath).refine((map) => Object.keys(map).length <= 2_000, { error: 'at most 2000 values' }),
);

const scopeFromClaim = z
  .strictObject({
    from: claimPointer,
    map: scopeMap.optional(),
    within: scopePath.optional().describe('the range: what the claim names must lie at or below it; absent = at or below the mapping\'s own scope'),
    acceptMutable: z.literal(true).optional(),
    reason: z.string().min(1).max(1_000).optional(),
  })
  .refine(({ acceptMutable, reason }) => (acceptMutable === undefined) === (reason === undefined), {
    path: ['reason'],
    error: '`acceptMutable: true` and its `reason` belong together',
  })
  .refine(({ within, map }) => within === undefined || map === undefined, { path: ['within'], error: 'belongs to a scope straight from a claim; a `map` says each scope itself' });

const grant = z
  .strictObject({
    role: ref('role'),
    scope: z.union([scopePath, scopeFromClaim], { error: 'must be a scope path, `{ from, map }` or `{ from, within }`' }),
    resourceGroup: ref('resource_group').optional(),
    resources: selectorList.optional(),
    includeChildScopes: z.boolean().optional(),
  })
  .refine(({ resourceGroup, resources }) => (resourceGroup === undefined) !== (resources === undefined), {
    path: ['resources'],
    error: 'either `resources` or `resourceGroup` is needed, not both',
  })
  .refine(({ resourceGroup, includeChildScopes }) => resourceGroup === undefined || includeChildScopes === undefined, {
    path: ['includeChildScopes'],
    error: 'belongs to `resources`; a resource group says it itself',
  });
export type GrantSpec = z.infer<typeof grant>;

export const claimMappingSpec = z.strictObject({
  issuer: ref('trusted_issuer'),
  when: z.array(condition).max(50).meta({ minItems: 1 })
    .refine((list) => list.length > 0, { error: 'must have a condition: a mapping without one would match everybody', params: { code: 'lint.no_condition' } }),
  condition: expressionText(compileClaimExpression).optional().describe('an expression in CEL about `claims` and `token`; it must hold too'),
  grants: z.array(grant).max(50),
  session: z
    .strictObject({
      ttl: duration({ minSeconds: 1, maxSeconds: maxSessionSeconds }).optional(),
      label: z.string().min(1).max(256).refine(isLabel, { error: 'must be text with claims in braces, such as `tfc:{/terraform_workspace_name}`' }).optional(),
    })
    .optional(),
  singleUse: z.boolean().optional().describe('a token counts at one exchange and never again, told by its `jti`; one without contributes nothing'),
  maxTokenAge: duration({ minSeconds: 1, maxSeconds: 7 * 86_400 }).optional().describe('since `iat`, at the exchange; a token without contributes nothing'),
  proofOfPossession: z.boolean().optional().describe('only for sessions bound to a key by DPoP or to a client certificate'),
  mayAdminister: z.boolean().optional(),
});
export type ClaimMappingSpec = z.infer<typeof claimMappingSpec>;

/** Catch mode: for how long, and whose tokens of an issuer that others share. */
export const catchWish = z.strictObject({
  for: duration({ minSeconds: 60, maxSeconds: 3_600 }).default('15m'),
  tenant: z.strictObject({ claim: claimPointer, value: scalar }).optional().describe('a claim and its value; needed where others get tokens of the issuer too'),
});
export type CatchWish = z.infer<typeof catchWish>;

/** Where the keys of an issuer come from. `fingerprint` changes when the same place could mean other keys. */
export type KeySource =
  /** Null = none of them is usable; refused at save. */
  | { readonly from: 'inline'; readonly set: KeySet | null; readonly fingerprint: string }
  | { readonly from: 'jwks'; readonly url: string; readonly ca: string | null; readonly fingerprint: string }
  | { readonly from: 'discovery'; readonly allowedOrigins: readonly string[]; readonly ca: string | null; readonly fingerprint: string };

/** Facts of entries of kind `trusted_issuer`. */
export interface IssuerFacts {
  readonly rules: IssuerRules;
  readonly keys: KeySource;
  readonly preset: Preset;
  /** JSON Pointers; the preset's and those the issuer lists. */
  readonly immutableClaims: ReadonlySet<string>;
  readonly subjectClaims: readonly string[] | null;
  /** JSON Pointers. */
  readonly redactClaims: readonly string[];
  readonly spec: TrustedIssuerSpec;
}

/** Facts of entries of kind `claim_mapping`: what access asks for, and what the exchange needs. */
export interface ClaimMappingFacts extends MappingFacts {
  readonly conditions: readonly CompiledCondition[];
  /** Null = the document has none. */
  readonly expression: ClaimExpression | null;
  readonly grants: readonly CompiledGrant[];
  readonly use: UseConditions;
  readonly ttlSeconds: number;
  readonly label: Label | null;
  readonly spec: ClaimMappingSpec;
}

/** A mapping as a session recorded it at its exchange. */
export interface RecordedMapping {
  readonly mappingUid: string;
  readonly version: number;
  readonly grants: readonly MappingGrant[];
  readonly mayAdminister: boolean;
  /** Milliseconds since 1970; each mapping's part of a session ends on its own. */
  readonly expiresAtMs: number;
}

const time = z.iso.datetime({ precision: 3 });

export const sessionView = z.strictObject({
  id: z.uuid(),
  issuer: z.string(),
  subject: z.string(),
  label: z.string(),
  claims: z.unknown(),
  mappings: z.array(z.strictObject({ uid: z.string(), path: z.string().nullable().describe('null when it is gone'), version: z.number().int(), expiresAt: time })),
  scope: z.string().optional().describe('permissions it asked to be held to'),
  authorizationDetails: z.array(z.unknown()).optional().describe('what it asked to be held to'),
  boundTo: z.enum(['key', 'certificate']).optional().describe('what its holder has to prove'),
  direct: z.literal(true).optional().describe('the outside token itself is the credential'),
  createdAt: time,
  expiresAt: time,
  revokedAt: time.nullable(),
  revokedBy: z.string().nullable(),
});
export type SessionView = z.infer<typeof sessionView>;
