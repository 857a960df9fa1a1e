/** Claims in: an outside token for a session (RFC 8693). */
import { createHash } from 'node:crypto';
import { Refusal, refusal } from '#kernel/errors.ts';
import type { TokenUse } from '#kernel/caller.ts';
import type { Kinds } from '#kernel/kind.ts';
import { Rerun } from '#kernel/operation.ts';
import type { Call } from '#platform/call.ts';
import type { Database, Tx } from '#platform/database/database.ts';
import { accountFor, requiredMissing } from './account-for-claims.ts';
import type { Catching } from './catch.ts';
import type { TrustedIssuer } from './account-trust.ts';
import { findIssuer, mappingsOf } from './account-trust.ts';
import type { Wish } from './ask-less.ts';
import { boundsFor } from './ask-less.ts';
import type { DriftServices, DriftedName, NewPins } from './id-drift.ts';
import { pinNames, withoutDrifted } from './id-drift.ts';
import type { IssuerKeys } from './keys.ts';
import { legible } from './label.ts';
import type { MetVersions } from './met-versions.ts';
import type { IssuerMapping, MappingOutcome, Match } from './match.ts';
import { matchAll } from './match.ts';
import { nearestMappings } from './nearest-mappings.ts';
import { proofOf } from './proof.ts';
import type { RecordedClaims } from './recorded-claims.ts';
import { redact } from './recorded-claims.ts';
import type { RefusedExchanges } from './refused-exchanges.ts';
import type { RecordedMapping } from './schema.ts';
import type { SessionTokens } from './session-token.ts';
import { keptClaims } from './session-claims.ts';
import { inForceAt } from './sessions.ts';
import { callerOf, principalOf, standingOf } from './standing.ts';
import { isStorable } from './storable.ts';
import type { AskedLess, Confirmation, Proof, StoredSession } from './store.ts';
import { insertSession, keepVersions } from './store.ts';
import { tokenRefusal } from './token-refusal.ts';
import type { Use } from './used-once.ts';
import { findUses, jtiHash, useNow } from './used-once.ts';
import { readToken, verifyToken } from './verify.ts';
import type { VerifiedToken } from './verify.ts';
import type { Keyring } from '#platform/keyring.ts';
import type { Metrics } from '#platform/metrics.ts';
import type { RateRule, Rates } from '#platform/http/limits.ts';
import { subjectOf, workloadId } from './workload.ts';

export interface ExchangeServices extends DriftServices {
  readonly database: Database;
  readonly metrics: Pick<Metrics, 'exchanges' | 'idDrifts' | 'unknownClaims'>;
  readonly keyring: Keyring;
  readonly catching: Catching;
  readonly kinds: Kinds;
  readonly keys: IssuerKeys;
  readonly tokens: SessionTokens;
  readonly refused: RefusedExchanges;
  readonly met: MetVersions;
  readonly rates: Rates;
  /** Exchanges of one workload; the rule of every other caller. */
  readonly callerRate: RateRule;
  /** Exchanges of all workloads of one issuer. */
  readonly issuerRate: RateRule;
}

/** What an exchange knows of the request it belongs to. */
export type ExchangeCall = Pick<Call, 'account' | 'world' | 'revision' | 'now' | 'address' | 'requestId' | 'uid'>;

export interface WantedSession {
  readonly token: string;
  /** Null = all that the token gives. */
  readonly wish: Wish | null;
  readonly confirmation: Confirmation | null;
  /** The grant of RFC 7523. */
  readonly isAssertion: boolean;
  /** The token itself is the credential. */
  readonly isDirect: boolean;
}

/** An account may have as many exchanges as so many issuers. */
const accountShare = 4;

/** How far a token came: what a refusal may be recorded with. */
export interface Attempt {
  readonly tokenHash: Buffer;
  issuer?: TrustedIssuer;
  verified?: VerifiedToken;
  /** What may be written of its claims. */
  recorded?: RecordedClaims;
  subject?: string;
  outcomes?: readonly MappingOutcome[];
  use?: TokenUse;
}

/** A session that only has to be written. */
export interface ReadySession {
  readonly session: StoredSession;
  readonly token: string;
  readonly expiresInSeconds: number;
  readonly mappings: readonly IssuerMapping[];
  /** Null = no mapping of it asks for single use. */
  readonly once: { readonly use: Use; readonly keepUntil: Date } | null;
  /** Null = it trusts no name, or none that is new. */
  readonly pins: NewPins | null;
  /** Names for whose sake mappings that match count for nothing here. */
  readonly drifted: readonly DriftedName[];
}

/** Whatever is wrong with the token, the caller is told the same; the cause is in the audit. */
export async function prepareSession(services: ExchangeServices, call: ExchangeCall, wanted: WantedSession): Promise<ReadySession> {
  await services.refused.admit(call.address);
  const attempt: Attempt = { tokenHash: createHash('sha256').update(wanted.token).digest() };
  const ready = await exchange(services, call, wanted, attempt).catch(async (error: unknown) => {
    if (!(error instanceof Refusal)) throw error;
    await services.catching.saw(call, attempt, error);
    throw toldAs(wanted, await services.refused.record(call, attempt, error));
  });
  // A good token is good until it expires, and every exchange of it costs a signature and two rows.
  const workload = createHash('sha256').update(workloadId(ready.session.issuer, ready.session.subject)).digest('base64url');
  await services.rates.take(`exchange:${call.account.id}:${workload}`, services.callerRate);
  // Only what an issuer has signed takes from these, so nobody can use up what is another's.
  const { perSecond, burst } = services.issuerRate;
  await services.rates.take(`exchange-issuer:${ready.session.issuerUid}`, services.issuerRate);
  await services.rates.take(`exchange-account:${call.account.id}`, { perSecond: accountShare * perSecond, burst: accountShare * burst });
  await services.catching.saw(call, attempt, ready);
  return ready;
}

/** RFC 7523 §3.1 has its own word for what is said the same of every token. */
function toldAs({ isAssertion }: WantedSession, told: Refusal): Refusal {
  return isAssertion && told.code === 'trust.refused' ? refusal('oauth.invalid_grant', { because: told.because ?? told.message, cause: told }) : told;
}

async function exchange(services: ExchangeServices, call: ExchangeCall, wanted: WantedSession, attempt: Attempt): Promise<ReadySession> {
  const preview = readToken(wanted.token);
  const issuer = (attempt.issuer = registeredIssuer(call, preview.unverifiedIssuer));
  const keys = await services.keys.keysFor({ accountId: call.account.id, ...issuer }, preview);
  const verified = (attempt.verified = await verifyToken(preview, issuer.facts.rules, keys, call.now));
  const recorded = (attempt.recorded = redact(await services.keyring.digester(call.account.id), issuer.facts.redactClaims, verified.claims));
  const subject = (attempt.subject = knownSubject(issuer, verified));
  // RFC 7523 §3 wants a subject; an exchange takes what the issuer's subject is made of.
  if (wanted.isAssertion && verified.subject === undefined) throw tokenRefusal('subject', 'an assertion needs `sub`');
  const use: TokenUse = { atMs: call.now.getTime(), isBound: wanted.confirmation !== null, isDirect: wanted.isDirect };
  const steady = await withoutDrifted(services, call, { issuer, claims: recorded.claims, matches: matchingMappings(call, issuer, attempt, use) });
  const { matches, once } = await unusedMatches(services, call, { issuer, verified, matches: steady.matches });
  const session = newSession(call, { issuer, verified, recorded, subject, matches, proof: proofOf(preview, keys, issuer.facts.keys), tokenHash: attempt.tokenHash, wanted });
  refuseDead(services, call, session);
  services.metrics.unknownClaims.inc(accountFor(issuer.facts.preset, verified.claims, issuer.facts.immutableClaims).unknown.length);
  return { ...(await ready(services, call, { ...session, less: askedLess(services, call, session, wanted.wish) }, matches)), once, pins: steady.pins, drifted: steady.drifted };
}

function registeredIssuer(call: ExchangeCall, unverifiedIssuer: string): TrustedIssuer {
  const issuer = findIssuer(call.world, unverifiedIssuer);
  if (issuer === undefined) throw refusal('trust.unknown_issuer', { because: 'no TrustedIssuer has this `issuer`' });
  return issuer;
}

function knownSubject(issuer: TrustedIssuer, { claims }: VerifiedToken): string {
  if (!isStorable(claims)) throw refusal('trust.refused', { because: 'a claim holds the character U+0000', evidence: { check: 'claims' } });
  const subject = subjectOf(issuer.facts, claims);
  const missing = requiredMissing(issuer.facts.preset, claims);
  if (subject !== null && missing.length === 0) return subject;
  if (subject !== null) throw tokenRefusal('claims', `a token of ${issuer.facts.preset.title} has ${missing.map((claim) => `\`${claim}\``).join(', ')}, and this one does not`, { expected: missing });
  const expected = issuer.facts.subjectClaims ?? ['/sub'];
  throw tokenRefusal('subject', `the workload's subject is made of ${expected.map((claim) => `\`${claim}\``).join(', ')}, which the token lacks or which are too long`, { expected });
}

function matchingMappings(call: ExchangeCall, issuer: TrustedIssuer, attempt: Attempt, use: TokenUse): readonly Match[] {
  const index = mappingsOf(call.world, issuer.uid);
  const { claims } = attempt.verified!;
  const matches = matchAll(index, claims, use);
  if (matches.length > 0) return matches;
  attempt.outcomes = nearestMappings(index.all, { claims, recorded: null, limit: maxNearest });
  attempt.use = use;
  throw refusal('trust.no_mapping', { because: index.all.length === 0 ? 'the issuer has no claim mappings' : 'no claim mapping of the issuer matches' });
}

/** Near misses an audit row has. */
const maxNearest = 20;

/** Longer than clocks differ: the issuer's from ours (60 s at most) and those of our nodes from each other. */
const keepUsedMs = 120_000;

/** Without the mappings of single use that have used the token. What is decided here is made sure of in the write. */
async function unusedMatches({ database }: ExchangeServices, call: ExchangeCall, found: { issuer: TrustedIssuer; verified: VerifiedToken; matches: readonly Match[] }) {
  const { issuer, verified, matches } = found;
  const single = matches.filter(({ mapping }) => mapping.facts.use.singleUse).map(({ mapping }) => mapping.uid);
  if (single.length === 0) return { matches, once: null };
  const jti = jtiHash(issuer.uid, verified.tokenId!);
  const used = await findUses(database.read, { accountId: call.account.id, usedBy: single, jti });
  const left = matches.filter(({ mapping }) => !used.has(mapping.uid));
  if (left.length === 0) throw refusal('trust.used_before', { because: 'the token was used before, and every claim mapping that matches takes it once', evidence: { check: 'token_id', actual: verified.tokenId } });
  const usedBy = single.filter((uid) => !used.has(uid));
  const once = { use: { accountId: call.account.id, usedBy, jti }, keepUntil: new Date(verified.expiresAtSeconds * 1_000 + keepUsedMs) };
  return { matches: left, once: usedBy.length === 0 ? null : once };
}

interface NewSession {
  readonly issuer: TrustedIssuer;
  readonly verified: VerifiedToken;
  readonly recorded: RecordedClaims;
  readonly subject: string;
  readonly matches: readonly Match[];
  readonly proof: Proof;
  readonly tokenHash: Buffer;
  readonly wanted: WantedSession;
}

/** Each mapping's part ends on its own, the session with the last of them, and nothing of it after the outside token. */
function newSession(call: ExchangeCall, parts: NewSession): StoredSession {
  const { issuer, verified, subject, matches } = parts;
  const nowSeconds = Math.ceil(call.now.getTime() / 1_000);
  const lastSecond = Math.floor(verified.expiresAtSeconds);
  if (lastSecond <= nowSeconds) throw tokenRefusal('expiry', 'the token has expired, or does in less than a second', { expected: nowSeconds, actual: verified.expiresAtSeconds });
  const mappings = matches.map(({ mapping, grants }): RecordedMapping => ({
    mappingUid: mapping.uid, version: mapping.version, grants, mayAdminister: mapping.facts.mayAdminister,
    expiresAtMs: Math.min(nowSeconds + mapping.facts.ttlSeconds, lastSecond) * 1_000,
  }));
  return {
    accountId: call.account.id, id: call.uid(), issuerUid: issuer.uid, issuer: issuer.facts.rules.issuer, subject,
    label: labelOf(parts), ...claimsOf(parts), proof: parts.proof, mappings, tokenHash: parts.tokenHash, createdAt: call.now,
    less: null, confirmation: parts.wanted.confirmation, isDirect: parts.wanted.isDirect,
    expiresAt: new Date(Math.max(...mappings.map(({ expiresAtMs }) => expiresAtMs))), revokedAt: null, revokedBy: null,
  };
}

function claimsOf({ verified, recorded, matches }: NewSession): Pick<StoredSession, 'claims' | 'recorded'> {
  if (recorded.redacted.length === 0) return { claims: verified.claims, recorded: null };
  const { claims, redacted } = recorded;
  return { claims: keptClaims(verified.claims, recorded, matches.map(({ mapping }) => mapping.facts)), recorded: { claims, redacted } };
}

function labelOf({ issuer, recorded, subject, matches }: NewSession): string {
  const label = matches.map(({ mapping }) => mapping.facts.label).find((each) => each !== null);
  return label?.(recorded.claims) ?? legible(`${issuer.path}:${subject}`);
}

/** A mapping may match and yet grant nothing: its role is gone, or the scope a claim names does not exist. */
function refuseDead({ kinds }: ExchangeServices, call: ExchangeCall, session: StoredSession): void {
  if (standingOf(call.world, kinds, inForceAt(session, call.now.getTime()), call.now).lives) return;
  throw refusal('trust.no_mapping', { because: 'the claim mappings that match grant nothing now: check their roles, resource groups and scopes' });
}

function askedLess({ kinds }: ExchangeServices, call: ExchangeCall, session: StoredSession, wish: Wish | null): AskedLess | null {
  if (wish === null) return null;
  const caller = callerOf(inForceAt(session, call.now.getTime()), false);
  return boundsFor(wish, { world: call.world, kinds, caller, now: call.now });
}

async function ready({ tokens }: ExchangeServices, call: ExchangeCall, session: StoredSession, matches: readonly Match[]): Promise<Omit<ReadySession, 'once' | 'pins' | 'drifted'>> {
  const expiresAtSeconds = session.expiresAt.getTime() / 1_000;
  const token = await tokens.sign(call.account.id, {
    issuer: tokens.issuerOf(call.account.identifier),
    workloadId: workloadId(session.issuer, session.subject),
    sessionId: session.id,
    issuedAtSeconds: Math.floor(call.now.getTime() / 1_000),
    expiresAtSeconds,
  });
  return { session, token, expiresInSeconds: Math.floor(expiresAtSeconds - call.now.getTime() / 1_000), mappings: matches.map(({ mapping }) => mapping) };
}

/** What was granted, short: of resources that are selected one by one only their kinds. */
function grantsOf({ mappings }: StoredSession, uid: string): unknown {
  const grants = mappings.find(({ mappingUid }) => mappingUid === uid)?.grants ?? [];
  return grants.map(({ roleUid: role, scope, resourceGroupUid: resourceGroup, resources, includeChildScopes }) => ({
    role, scope, includeChildScopes, ...(resourceGroup === undefined ? {} : { resourceGroup }), ...(resources === undefined ? {} : { resources: [...new Set(resources.map(({ type }) => type))] }),
  }));
}

/** One transaction with the audit row. False when the token stands for a session already. Throws `Rerun` when the token was used in the meantime: then all is decided anew. */
export async function writeSession(tx: Tx, call: Pick<Call, 'now' | 'revision' | 'note'>, { session, mappings, once, pins, drifted }: ReadySession, { met }: Pick<ExchangeServices, 'met'>): Promise<boolean> {
  if (pins !== null && !(await pinNames(tx, pins, call.now))) throw new Rerun(call.revision);
  if (once !== null && (await useNow(tx, once.use, once.keepUntil)) < once.use.usedBy.length) throw new Rerun(call.revision);
  if (!(await insertSession(tx, session))) return false;
  await keepVersions(tx, session.accountId, met.unknown(session.accountId, mappings), call.now);
  call.note({
    actor: principalOf(session),
    session: session.id,
    resource: { kind: 'session', uid: session.id, path: session.id },
    claims: session.recorded?.claims ?? session.claims,
    detail: {
      ...(session.recorded === null ? {} : { redacted: session.recorded.redacted }),
      issuer: session.issuerUid, tokenSha256: session.tokenHash.toString('hex'), expiresAt: session.expiresAt,
      mappings: mappings.map(({ uid, version, path }) => ({ uid, version, path, grants: grantsOf(session, uid) })),
      ...(once === null ? {} : { usedOnceBy: once.use.usedBy }),
      ...(drifted.length === 0 ? {} : { idDrift: drifted }),
      ...(session.less === null ? {} : { scope: session.less.scope, authorizationDetails: session.less.details }),
      ...(session.confirmation === null ? {} : { confirmation: session.confirmation }),
      ...(session.isDirect ? { direct: true } : {}),
    },
  });
  return true;
}
