/** The trace of a token: what is shown of why it is accepted or refused, and to whom. */
import { z } from 'zod';
import type { TokenUse } from '#kernel/caller.ts';
import type { Refusal } from '#kernel/errors.ts';
import { readPointer } from '#kernel/matcher.ts';
import { contains } from '#kernel/scope.ts';
import { entryPath } from '#kernel/world.ts';
import type { World } from '#kernel/world.ts';
import type { Call } from '#platform/call.ts';
import { accountFor, requiredMissing } from './account-for-claims.ts';
import type { TrustedIssuer } from './account-trust.ts';
import { findIssuer, mappingsOf } from './account-trust.ts';
import type { CompiledCondition } from './claim-condition.ts';
import { causeOfCheck, causeOfMapping } from './causes.ts';
import { grantStates } from './grant-states.ts';
import type { IssuerMapping, MappingIndex, MappingOutcome } from './match.ts';
import { matchAll } from './match.ts';
import { nearClaim } from './near-value.ts';
import type { NearMapping } from './nearest-mappings.ts';
import { nearestMappings } from './nearest-mappings.ts';
import type { RecordedClaims } from './recorded-claims.ts';
import { judgeMapping } from './recorded-claims.ts';
import { brief } from './storable.ts';
import { unmetUses, usesAreMet } from './token-use.ts';
import type { IssuerFacts } from './schema.ts';
import type { TokenEvidence } from './verify.ts';

const step = z.strictObject({
  check: z.string(),
  outcome: z.enum(['passed', 'failed', 'not_reached', 'not_kept']).describe('`not_kept`: what it would look at was not recorded'),
  because: z.string().optional(),
  expected: z.unknown().optional(),
  actual: z.unknown().optional(),
});
export type Step = z.infer<typeof step>;

const condition = z.strictObject({
  claim: z.string(), expected: z.unknown(), actual: z.unknown(),
  holds: z.boolean().nullable().describe('null when it cannot be told, since the claim was redacted'),
});

const mappingTrace = z.strictObject({
  mapping: z.string(),
  version: z.number().int(),
  matched: z.boolean(),
  conditions: z.array(condition),
  expression: z.strictObject({ source: z.string(), because: z.string().nullable().describe('why it does not hold; null when it does') }).nullable().describe('the `condition` in CEL; null when there is none'),
  uses: z.array(z.string()).describe('what it asks of how a token is used, and this one was not'),
  scopes: z.array(z.strictObject({ grant: z.number().int(), claim: z.string(), because: z.string() })).describe('scopes that could not be taken from a claim'),
  grants: z.array(z.strictObject({ grant: z.number().int(), role: z.string(), scope: z.string().nullable(), because: z.string().nullable().describe('why it gives nothing; null when it gives something') })),
});
export type MappingTrace = z.infer<typeof mappingTrace>;

/** A mapping as it was when an exchange met it. */
const metMapping = z.strictObject({
  mapping: z.string(),
  version: z.number().int(),
  matched: z.boolean(),
  failed: z.unknown().optional().describe('conditions that did not hold'),
  document: z.unknown().optional().describe('the spec of that version'),
});

const pastEvent = z.strictObject({
  id: z.string(), at: z.string(), outcome: z.string(), correlationId: z.string(),
  mappings: z.array(metMapping).describe('the mappings as they were then: those that matched, or else the nearest'),
});

export const trace = z.strictObject({
  accepted: z.boolean().describe('of a token: an exchange would be tried with it; of an exchange of the past: it was let in'),
  cause: z.string().nullable().describe('why it is refused, in a line; null when it is accepted'),
  causes: z.array(z.string()).describe('that line, and what comes next to it'),
  issuer: z.string().nullable().describe('the TrustedIssuer the token names'),
  subject: z.string().nullable(),
  checks: z.array(step),
  claims: z.unknown().describe('what the token says; proven only if all checks passed; null when the caller may not see it'),
  mappings: z.array(mappingTrace).describe('the mappings as they are now, the nearest first'),
  hiddenMappings: z.number().int().describe('mappings of the issuer the caller may not view'),
  unknownClaims: z.array(z.string()).describe('claims neither the preset of the issuer nor its document knows'),
  missingClaims: z.array(z.string()).describe('claims the preset says are always there'),
  event: pastEvent.nullable().describe('the exchange of the past that is explained'),
});
export type Trace = z.infer<typeof trace>;

type Claims = Readonly<Record<string, unknown>>;

const maxMappings = 200;
const maxCauses = 20;
const maxOtherIssuers = 200;

/** Of a document, what the caller may read. */
export function mayView(call: Call, uid: string): boolean {
  const entry = call.world.get(uid);
  return entry !== undefined && contains(call.scope, entry.scope) && call.decide({ permission: `${entry.kind}.view`, target: entry }).allowed;
}

export interface Explained {
  readonly issuer: TrustedIssuer;
  readonly subject: string | null;
  readonly checks: readonly Step[];
  /** What conditions are judged by. */
  readonly claims: RecordedClaims;
  /** The same less what is redacted: the values conditions are shown with. */
  readonly shown: Claims;
  /** Whether the caller may see all of them. */
  readonly seesClaims: boolean;
  /** How the token came, for mappings that ask for it. */
  readonly use: TokenUse;
}

/** Issuer rules are shown to those who may view the issuer, conditions to those who may view the mapping. */
export function traceOf(call: Call, { issuer, subject, checks, claims, shown: values, seesClaims, use }: Explained): Trace {
  const index = mappingsOf(call.world, issuer.uid);
  const visible = index.all.filter(({ uid }) => mayView(call, uid));
  const recorded = claims.redacted.length === 0 ? null : claims;
  const shown = nearestFirst(nearestMappings(visible, { claims: claims.claims, recorded, limit: maxMappings }), claims.claims).map((outcome) => mappingTraceOf(call.world, outcome, { claims: claims.claims, values, use }));
  const hidden = index.all.length - visible.length;
  const seesRules = mayView(call, issuer.uid);
  const steps = seesRules ? checks : checks.map(({ expected: _expected, ...rest }) => rest);
  const isVerified = checks.every(({ outcome }) => outcome === 'passed' || outcome === 'not_kept');
  const gives = matching(index, claims, use).some(({ facts }) => grantStates(call.world, facts, claims.claims).some(({ because }) => because === null));
  const accepted = subject !== null && isVerified && gives && requiredMissing(issuer.facts.preset, claims.claims).length === 0;
  const causes = accepted ? [] : causesOf(call, { issuer, subject, steps, claims, values, shown, hidden });
  return {
    accepted, cause: causes[0] ?? null, causes, issuer: issuer.path, subject: seesClaims ? subject : null, checks: [...steps], claims: seesClaims ? brief(values) : null,
    mappings: shown, hiddenMappings: hidden, event: null, ...accounted(issuer, claims.claims, seesClaims),
  };
}

/** A claim that is missing, and of which the token has a namesake that would do, is likelier the mistake than another value. */
function nearestFirst(outcomes: readonly NearMapping[], claims: Claims): readonly NearMapping[] {
  const isMisnamed = ({ claim, holds: isRight }: CompiledCondition): boolean => {
    const near = readPointer(claims, claim) === undefined ? nearClaim(claim, claims) : null;
    return near !== null && isRight(readPointer(claims, near));
  };
  const distances = new Map(outcomes.map((outcome) => [outcome, outcome.distance - outcome.mapping.facts.conditions.filter(isMisnamed).length / 2]));
  return outcomes.toSorted((a, b) => distances.get(a)! - distances.get(b)!);
}

/** Whether the caller may view them or not. */
function matching(index: MappingIndex, claims: RecordedClaims, use: TokenUse): readonly IssuerMapping[] {
  if (claims.redacted.length === 0) return matchAll(index, claims.claims, use).map(({ mapping }) => mapping);
  return index.all.filter(({ facts }) => judgeMapping(facts, claims) === 'holds' && usesAreMet(facts.use, claims.claims, use));
}

interface CauseParts extends Pick<Explained, 'issuer' | 'subject' | 'claims'> {
  readonly values: Claims;
  readonly steps: readonly Step[];
  readonly shown: readonly MappingTrace[];
  readonly hidden: number;
}

function causesOf(call: Call, { issuer, subject, steps, claims, values, shown, hidden }: CauseParts): string[] {
  const failed = steps.filter(({ outcome }) => outcome === 'failed').map(causeOfCheck);
  const noSubject = subject === null && failed.length === 0 ? [`subject: the workload is called by ${(issuer.facts.subjectClaims ?? ['/sub']).map((claim) => `\`${claim}\``).join(', ')}, of which the token lacks some`] : [];
  const ofMappings = shown.flatMap((each) => causeOfMapping(each, values) ?? []);
  const none = shown.length > 0 ? [] : [hidden === 0 ? 'the issuer has no claim mappings' : 'no claim mapping that you may view is of this issuer'];
  return [...failed, ...noSubject, ...incomplete(issuer, subject, claims.claims), ...otherIssuers(call, issuer, claims), ...ofMappings, ...none].slice(0, maxCauses);
}

/** The names of claims are for those who may see them. */
function accounted({ facts }: TrustedIssuer, claims: Claims, seesClaims: boolean): Pick<Trace, 'unknownClaims' | 'missingClaims'> {
  const { unknown, missing } = accountFor(facts.preset, claims, facts.immutableClaims);
  return { unknownClaims: seesClaims ? [...unknown] : [], missingClaims: missing.map(({ claim }) => claim) };
}

function incomplete({ facts: { preset } }: TrustedIssuer, subject: string | null, claims: Claims): string[] {
  const missing = requiredMissing(preset, claims);
  return subject === null || missing.length === 0 ? [] : [`claims: a token of ${preset.title} has ${missing.map((claim) => `\`${claim}\``).join(', ')}, and this one does not`];
}

/** Mappings that would match but name another issuer. */
function otherIssuers(call: Call, issuer: TrustedIssuer, { claims, redacted }: RecordedClaims): string[] {
  if (redacted.length > 0) return [];
  const found: string[] = [];
  for (const entry of [...call.world.list('trusted_issuer')].slice(0, maxOtherIssuers)) {
    if (entry.uid === issuer.uid) continue;
    for (const { mapping } of matchAll(mappingsOf(call.world, entry.uid), claims)) {
      if (mayView(call, mapping.uid)) found.push(`claim mapping \`${mapping.path}\` would match, but it is for the issuer \`${entryPath(entry)}\`; the token is of \`${issuer.path}\``);
    }
  }
  return found;
}

/** What an issuer nobody registered may have been meant to be. */
export function nearIssuer(call: Call, unverifiedIssuer: string): string {
  const bare = (text: string): string => text.toLowerCase().replace(/^https?:\/\//, '').replace(/\/$/, '');
  for (const entry of call.world.list('trusted_issuer')) {
    const { issuer } = (entry.facts as IssuerFacts).spec;
    if (bare(issuer) === bare(unverifiedIssuer) && findIssuer(call.world, issuer) !== undefined && mayView(call, entry.uid)) {
      return `; \`${entryPath(entry)}\` has \`${issuer}\`, and they must be the same byte for byte`;
    }
  }
  return '';
}

function mappingTraceOf(world: World, { mapping, matched, conditions, expression, scopes }: MappingOutcome, { claims, values, use }: { readonly claims: Claims; readonly values: Claims; readonly use: TokenUse }): MappingTrace {
  return {
    mapping: mapping.path, version: mapping.version, matched: matched && usesAreMet(mapping.facts.use, claims, use),
    uses: unmetUses(mapping.facts.use, claims, use),
    conditions: conditions.map(({ claim, expected, holds }) => ({ claim, expected: brief(expected), actual: brief(readPointer(values, claim)), holds })),
    expression,
    scopes: scopes.map(({ grant, claim, because }) => ({ grant, claim, because })),
    grants: grantStates(world, mapping.facts, claims).map((state) => ({ ...state })),
  };
}

export function passed(check: string): Step {
  return { check, outcome: 'passed' };
}

export function failure(check: string, error: Refusal): Step {
  const evidence = error.evidence as TokenEvidence | undefined;
  return {
    check, outcome: 'failed', because: error.because ?? error.message,
    ...(evidence?.expected === undefined ? {} : { expected: brief(evidence.expected) }),
    ...(evidence?.actual === undefined ? {} : { actual: brief(evidence.actual) }),
  };
}

/** Of a token that did not come to its issuer. */
export function emptyTrace(checks: readonly Step[], claims: unknown = null): Trace {
  const causes = checks.filter(({ outcome }) => outcome === 'failed').map(causeOfCheck);
  return { accepted: false, cause: causes[0] ?? null, causes, issuer: null, subject: null, checks: [...checks], claims, mappings: [], hiddenMappings: 0, unknownClaims: [], missingClaims: [], event: null };
}
