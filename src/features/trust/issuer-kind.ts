/** Trusted issuers: who may vouch for workloads. They exist only at the account. */
import { givenByMapping } from '#features/access/feature.ts';
import { canonicalJson } from '#kernel/canonical.ts';
import type { FieldError } from '#kernel/errors.ts';
import type { Draft, Given, Kind, Kinds } from '#kernel/kind.ts';
import type { Entry, World } from '#kernel/world.ts';
import { entryPath } from '#kernel/world.ts';
import { compileIssuer, inlineKeys } from './compile-issuer.ts';
import { lintIssuer } from './lint/issuer-rules.ts';
import { refusalsOf } from './lint/lint-mapping.ts';
import { mutableScopeFaults } from './mapping-faults.ts';
import type { ClaimMappingFacts, IssuerFacts, TrustedIssuerSpec } from './schema.ts';
import { trustedIssuerSpec } from './schema.ts';

const registeredClaims: readonly string[] = ['/iss', '/aud', '/exp', '/nbf', '/iat', '/jti'];

export interface IssuerKindOptions {
  readonly kinds: () => Kinds;
  /** Public URL of this server; null where there is none, as when documents are derived. */
  readonly publicUrl: () => string | null;
}

export function trustedIssuerKind({ kinds, publicUrl }: IssuerKindOptions): Kind<TrustedIssuerSpec> {
  return {
    name: 'trusted_issuer',
    levels: ['account'],
    verbs: ['view', 'create', 'edit', 'delete', 'govern'],
    spec: trustedIssuerSpec,
    version: 1,
    administers: true,
    facts: compileIssuer,
    check: (draft, after) => [...twinFaults(draft, after), ...ownIssuerFaults(draft, publicUrl()), ...keyFaults(draft), ...redactionFaults(draft), ...lintIssuer(draft.spec), ...mappingFaults(draft, after)],
    gives: (change) => newTrust(change, kinds()),
  };
}

/** One string, one issuer: a token says which issuer it is of, and only one may answer for it. */
function twinFaults({ scope, identifier, spec }: Draft<TrustedIssuerSpec>, after: World): FieldError[] {
  for (const entry of after.list('trusted_issuer')) {
    const isItself = entry.scope === scope && entry.identifier === identifier;
    if (isItself || (entry.facts as IssuerFacts).spec.issuer !== spec.issuer) continue;
    return [{ pointer: '/issuer', message: `the issuer is registered already as \`${entryPath(entry)}\`` }];
  }
  return [];
}

/** A token minted here says what a pipeline did, and must not become a way to act here by accident. */
function ownIssuerFaults({ spec }: Draft<TrustedIssuerSpec>, publicUrl: string | null): FieldError[] {
  if (spec.acknowledgeOwnIssuer === true || publicUrl === null || !isOwnIssuer(spec.issuer, publicUrl)) return [];
  return [{ pointer: '/issuer', message: 'this is an account of this server; to trust tokens minted here say `acknowledgeOwnIssuer: true`' }];
}

/** True for the issuer of any account of this server, however its URL is spelled. */
export function isOwnIssuer(issuer: string, publicUrl: string): boolean {
  const own = URL.parse(`${publicUrl}/accounts/`);
  const asked = URL.parse(issuer);
  if (own === null || asked === null || own.host !== asked.host) return false;
  return readable(asked.pathname).toLowerCase().startsWith(readable(own.pathname).toLowerCase());
}

function keyFaults({ spec }: Draft<TrustedIssuerSpec>): FieldError[] {
  const set = spec.keys.jwks === undefined ? null : inlineKeys(spec.keys.jwks);
  return set !== null && 'because' in set ? [{ pointer: '/keys/jwks', message: set.because }] : [];
}

/** What a workload is called by, and what is asked of its token again at every request, cannot be a digest. */
function redactionFaults(draft: Draft<TrustedIssuerSpec>): FieldError[] {
  const { redactClaims, subjectClaims } = compileIssuer(draft);
  const needed = [...registeredClaims, ...(subjectClaims ?? ['/sub'])];
  return redactClaims.flatMap((claim, i): FieldError[] => {
    const clash = needed.find((one) => one === claim || one.startsWith(`${claim}/`) || claim.startsWith(`${one}/`));
    return clash === undefined ? [] : [{ pointer: `/redactClaims/${i}`, message: `\`${claim}\` cannot be redacted: ${registeredClaims.includes(clash) ? 'it is asked about at every request' : 'the workload is called by it'}` }];
  });
}

/** A claim cannot stop being immutable while a mapping takes a scope from it, nor an issuer become what its mappings may not be of. */
function mappingFaults(draft: Draft<TrustedIssuerSpec>, after: World): FieldError[] {
  const uid = after.find('trusted_issuer', draft.scope, draft.identifier)?.uid;
  const facts = compileIssuer(draft);
  return [...after.list('claim_mapping')].flatMap((mapping): FieldError[] => {
    const { issuerUid, spec, expression } = mapping.facts as ClaimMappingFacts;
    if (issuerUid !== uid || uid === undefined) return [];
    const worse = refusalsOf({ draft: { scope: mapping.scope, identifier: mapping.identifier, spec, refs: () => undefined }, issuer: facts, issuerUid: uid, after, expression });
    return [
      ...(mutableScopeFaults(spec, facts).length === 0 ? [] : [{ pointer: '/immutableClaims', message: `the claim mapping \`${entryPath(mapping)}\` takes a scope from a claim that would no longer be immutable` }]),
      ...worse.map(({ code, message }) => ({ code, pointer: '', message: `the claim mapping \`${entryPath(mapping)}\` would be refused with it: ${message}` })),
    ];
  });
}

/** Whoever decides which tokens are believed can be anybody its mappings let in (CONTRACTS §5). */
function newTrust(change: { before: Entry | null; after: Entry | null; worldAfter: World }, kinds: Kinds): Given[] {
  const { before, after, worldAfter } = change;
  if (before === null || after === null || !believesMore((before.facts as IssuerFacts), after.facts as IssuerFacts)) return [];
  return [...worldAfter.list('claim_mapping')].flatMap((mapping) => {
    const facts = mapping.facts as ClaimMappingFacts;
    if (facts.issuerUid !== after.uid) return [];
    return givenByMapping(worldAfter, kinds, mapping, facts.allGrants()).map(({ bound, why }) => ({ bound, why: `tokens of the issuer give ${why}`, pointer: '' }));
  });
}

function believesMore(before: IssuerFacts, after: IssuerFacts): boolean {
  const decisive = ({ spec }: IssuerFacts): string => {
    const { clockSkewSeconds: _skew, maxLifetime: _lifetime, redactClaims: _redacted, ...rest } = spec;
    return canonicalJson(rest);
  };
  if (decisive(before) !== decisive(after)) return true;
  return after.rules.clockSkewSeconds > before.rules.clockSkewSeconds || after.rules.maxLifetimeSeconds > before.rules.maxLifetimeSeconds;
}

function readable(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
