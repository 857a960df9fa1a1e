/**
 * Why a token would be accepted or refused. Goes the way of the exchange, grants nothing and keeps nothing. Mappings are
 * compared even with a token that is refused: tokens for debugging have mostly expired.
 */
import { z } from 'zod';
import { Refusal } from '#kernel/errors.ts';
import type { Call } from '#platform/call.ts';
import type { TrustedIssuer } from './account-trust.ts';
import { findIssuer, mappingsOf } from './account-trust.ts';
import type { IssuerKeys } from './keys.ts';
import type { MappingOutcome } from './match.ts';
import { explainAll } from './match.ts';
import { brief } from './storable.ts';
import { readToken, verifyToken } from './verify.ts';
import type { TokenCheck, TokenEvidence, TokenPreview } from './verify.ts';
import { subjectOf } from './workload.ts';

/** In the order they are made. */
const tokenChecks: readonly TokenCheck[] = [
  'header', 'algorithm', 'key', 'signature', 'type', 'issuer', 'audience', 'expiry', 'not_before', 'issued_at', 'lifetime', 'subject', 'token_id',
];

const step = z.strictObject({
  check: z.string(),
  outcome: z.enum(['passed', 'failed', 'not_reached']),
  because: z.string().optional(),
  expected: z.unknown().optional(),
  actual: z.unknown().optional(),
});
type Step = z.infer<typeof step>;

const mappingTrace = z.strictObject({
  mapping: z.string(),
  version: z.number().int(),
  matched: z.boolean(),
  conditions: z.array(z.strictObject({ claim: z.string(), expected: z.unknown(), actual: z.unknown(), holds: z.boolean() })),
  expression: z.strictObject({ source: z.string(), because: z.string().nullable().describe('why it does not hold; null when it does') }).nullable().describe('the `condition` in CEL; null when there is none'),
  scopes: z.array(z.strictObject({ grant: z.number().int(), claim: z.string(), because: z.string() })).describe('scopes that could not be taken from a claim'),
});

export const trace = z.strictObject({
  accepted: z.boolean().describe('an exchange would be tried with it; what it grants is decided then'),
  issuer: z.string().nullable().describe('the TrustedIssuer the token names'),
  subject: z.string().nullable(),
  checks: z.array(step),
  claims: z.unknown().describe('what the token says; proven only if all checks passed'),
  mappings: z.array(mappingTrace),
  hiddenMappings: z.number().int().describe('mappings of the issuer the caller may not view'),
});
export type Trace = z.infer<typeof trace>;

const maxMappings = 200;

export async function explainToken(keys: IssuerKeys, call: Call, token: string): Promise<Trace> {
  const read = attempt('read', () => readToken(token));
  if ('step' in read) return empty([read.step]);
  const preview = read.value;
  const issuer = findIssuer(call.world, preview.unverifiedIssuer);
  const said = { claims: brief(preview.payload), actual: brief(preview.unverifiedIssuer) };
  if (issuer === undefined) {
    return { ...empty([passed('read'), { check: 'registered', outcome: 'failed', because: 'no TrustedIssuer has this `issuer`', actual: said.actual }]), claims: said.claims };
  }
  const checks = await verification(keys, call, issuer, preview);
  const subject = subjectOf(issuer.facts, preview.payload);
  const all = explainAll(mappingsOf(call.world, issuer.uid), preview.payload);
  const shown = all.filter(({ mapping }) => mayView(call, mapping.uid));
  return {
    accepted: subject !== null && checks.every(({ outcome }) => outcome === 'passed') && all.some(({ matched }) => matched),
    issuer: issuer.path, subject, checks: [passed('read'), passed('registered'), ...checks], claims: said.claims,
    mappings: shown.slice(0, maxMappings).map(traceOf), hiddenMappings: all.length - shown.length,
  };
}

async function verification(keys: IssuerKeys, call: Call, issuer: TrustedIssuer, preview: TokenPreview): Promise<Step[]> {
  try {
    const set = await keys.keysFor({ accountId: call.account.id, ...issuer }, preview);
    await verifyToken(preview, issuer.facts.rules, set, call.now);
    return ['keys', ...tokenChecks].map(passed);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const evidence = error.evidence as TokenEvidence | undefined;
    const failed = evidence?.check ?? 'keys';
    const all = ['keys', ...tokenChecks];
    return all.map((check, i): Step => (i < all.indexOf(failed) ? passed(check) : check === failed ? failure(check, error) : { check, outcome: 'not_reached' }));
  }
}

/** Conditions are shown to those who may read the document. */
function mayView(call: Call, mappingUid: string): boolean {
  const entry = call.world.get(mappingUid);
  return entry !== undefined && call.decide({ permission: 'claim_mapping.view', target: entry }).allowed;
}

function traceOf({ mapping, matched, conditions, expression, scopes }: MappingOutcome): Trace['mappings'][number] {
  return {
    mapping: mapping.path, version: mapping.version, matched,
    conditions: conditions.map(({ claim, expected, actual, holds }) => ({ claim, expected: brief(expected), actual: brief(actual), holds })),
    expression,
    scopes: scopes.map(({ grant, claim, because }) => ({ grant, claim, because })),
  };
}

function attempt<T>(check: string, work: () => T): { readonly value: T } | { readonly step: Step } {
  try {
    return { value: work() };
  } catch (error) {
    if (error instanceof Refusal) return { step: failure(check, error) };
    throw error;
  }
}

function failure(check: string, error: Refusal): Step {
  const evidence = error.evidence as TokenEvidence | undefined;
  return {
    check, outcome: 'failed', because: error.because ?? error.message,
    ...(evidence?.expected === undefined ? {} : { expected: brief(evidence.expected) }),
    ...(evidence?.actual === undefined ? {} : { actual: brief(evidence.actual) }),
  };
}

function passed(check: string): Step {
  return { check, outcome: 'passed' };
}

function empty(checks: Step[]): Trace {
  return { accepted: false, issuer: null, subject: null, checks, claims: null, mappings: [], hiddenMappings: 0 };
}
