/** A trusted issuer's document → the rules its tokens are verified by. Pure. */
import { createHash } from 'node:crypto';
import { canonicalJson } from '#kernel/canonical.ts';
import { Refusal } from '#kernel/errors.ts';
import type { Draft } from '#kernel/kind.ts';
import { durationSeconds } from '#kernel/marks.ts';
import { pointerOf } from '#kernel/matcher.ts';
import { immutableClaimsOf, presets } from './presets.ts';
import type { Preset } from './presets.ts';
import type { IssuerFacts, KeySource, TrustedIssuerSpec } from './schema.ts';
import type { KeySet } from './verify.ts';
import { compileKeySet } from './verify.ts';

const defaultSkewSeconds = 30;
const defaultMaxLifetimeSeconds = 86_400;

export function compileIssuer({ spec }: Pick<Draft<TrustedIssuerSpec>, 'spec'>): IssuerFacts {
  const preset: Preset = presets[spec.preset ?? 'generic'];
  return {
    rules: {
      issuer: spec.issuer,
      audiences: spec.audiences,
      algorithms: spec.algorithms,
      allowOtherAudiences: spec.allowOtherAudiences === true,
      clockSkewSeconds: spec.clockSkewSeconds ?? defaultSkewSeconds,
      maxLifetimeSeconds: spec.maxLifetime === undefined ? defaultMaxLifetimeSeconds : durationSeconds(spec.maxLifetime),
    },
    keys: compileKeySource(spec),
    preset,
    immutableClaims: new Set([...immutableClaimsOf(preset), ...(spec.immutableClaims ?? []).map(pointer)]),
    subjectClaims: preset.subjectClaims,
    redactClaims: (spec.redactClaims ?? []).map(pointer),
    spec,
  };
}

/** The keys as written, or why none of them can be used. */
export function inlineKeys(jwks: unknown): KeySet | { readonly because: string } {
  try {
    return compileKeySet(jwks);
  } catch (error) {
    if (error instanceof Refusal) return { because: error.because ?? error.message };
    throw error;
  }
}

function compileKeySource({ issuer, keys }: TrustedIssuerSpec): KeySource {
  const fingerprint = createHash('sha256').update(canonicalJson([issuer, keys])).digest('hex');
  if (keys.jwks !== undefined) {
    const set = inlineKeys(keys.jwks);
    return { from: 'inline', set: 'because' in set ? null : set, fingerprint };
  }
  const ca = keys.ca ?? null;
  if (keys.jwksUri !== undefined) return { from: 'jwks', url: keys.jwksUri, ca, fingerprint };
  return { from: 'discovery', allowedOrigins: keys.allowedOrigins ?? [], ca, fingerprint };
}

function pointer(claim: string): string {
  return claim.startsWith('/') ? claim : pointerOf([claim]);
}
