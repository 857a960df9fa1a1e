/**
 * Why a token would be accepted or refused. Goes the way of the exchange, grants nothing and keeps nothing. Mappings are
 * compared even with a token that is refused: tokens for debugging have mostly expired.
 */
import { Refusal } from '#kernel/errors.ts';
import { accountScope } from '#kernel/scope.ts';
import type { Call } from '#platform/call.ts';
import type { Database } from '#platform/database/database.ts';
import type { Keyring } from '#platform/keyring.ts';
import type { TrustedIssuer } from './account-trust.ts';
import { findIssuer, mappingsOf } from './account-trust.ts';
import { whyDrifted } from './id-drift.ts';
import type { IssuerKeys } from './keys.ts';
import { matchAll } from './match.ts';
import { redact } from './recorded-claims.ts';
import { brief } from './storable.ts';
import type { Step, Trace } from './trace.ts';
import { emptyTrace, failure, mayView, nearIssuer, passed, traceOf } from './trace.ts';
import { readToken, verifyToken } from './verify.ts';
import type { TokenCheck, TokenEvidence, TokenPreview } from './verify.ts';
import { subjectOf } from './workload.ts';

/** In the order they are made. */
export const tokenChecks: readonly TokenCheck[] = [
  'header', 'algorithm', 'key', 'signature', 'type', 'issuer', 'audience', 'expiry', 'not_before', 'issued_at', 'lifetime', 'subject', 'token_id',
];

export interface ExplainServices {
  readonly database: Database;
  readonly keys: IssuerKeys;
  readonly keyring: Keyring;
}

export async function explainToken({ keys, keyring, database }: ExplainServices, call: Call, token: string): Promise<Trace> {
  const read = attempt('read', () => readToken(token));
  if ('step' in read) return emptyTrace([read.step]);
  const preview = read.value;
  const issuer = findIssuer(call.world, preview.unverifiedIssuer);
  if (issuer === undefined || !mayAskAbout(call, issuer)) {
    const because = `no TrustedIssuer${call.scope === accountScope ? '' : ' of a mapping you may view here'} has this \`issuer\`${nearIssuer(call, preview.unverifiedIssuer)}`;
    return emptyTrace([passed('read'), { check: 'registered', outcome: 'failed', because, actual: brief(preview.unverifiedIssuer) }], brief(preview.payload));
  }
  const checks = await verification(keys, call, issuer, preview);
  const digest = await keyring.digester(call.account.id);
  const shown = redact(digest, issuer.facts.redactClaims, preview.payload);
  const traced = traceOf(call, {
    issuer, subject: subjectOf(issuer.facts, preview.payload), checks: [passed('read'), passed('registered'), ...checks],
    claims: { claims: preview.payload, redacted: [], digest }, shown: shown.claims, seesClaims: true,
    use: { atMs: call.now.getTime(), isBound: false, isDirect: false },
  });
  if (!traced.accepted) return traced;
  const matches = matchAll(mappingsOf(call.world, issuer.uid), preview.payload, { atMs: call.now.getTime(), isBound: false, isDirect: false });
  const drifted = await whyDrifted(database.read, call.account.id, { issuer, claims: shown.claims, matches });
  if (drifted === null) return traced;
  const cause = mayView(call, issuer.uid) ? drifted : 'a name the claim mapping trusts came with another id than before; who may view the issuer sees which';
  return { ...traced, accepted: false, cause, causes: [cause] };
}

/** Below the account, an issuer is somebody's business only through a mapping there. */
export function mayAskAbout(call: Call, issuer: TrustedIssuer): boolean {
  return mayView(call, issuer.uid) || mappingsOf(call.world, issuer.uid).all.some(({ uid }) => mayView(call, uid));
}

async function verification(keys: IssuerKeys, call: Call, issuer: TrustedIssuer, preview: TokenPreview): Promise<Step[]> {
  try {
    const set = await keys.keysFor({ accountId: call.account.id, ...issuer }, preview);
    await verifyToken(preview, issuer.facts.rules, set, call.now);
    return ['keys', ...tokenChecks].map(passed);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const evidence = error.evidence as TokenEvidence | undefined;
    return upTo(evidence?.check ?? 'keys', (check) => failure(check, error));
  }
}

/** All checks, of which one failed. */
export function upTo(failed: string, stepOf: (check: string) => Step): Step[] {
  const all = ['keys', ...tokenChecks];
  const at = all.indexOf(failed);
  return all.map((check, i): Step => (i < at ? passed(check) : i === at ? stepOf(check) : { check, outcome: 'not_reached' }));
}

function attempt<T>(check: string, work: () => T): { readonly value: T } | { readonly step: Step } {
  try {
    return { value: work() };
  } catch (error) {
    if (error instanceof Refusal) return { step: failure(check, error) };
    throw error;
  }
}
