import type { Preset } from './preset.ts';

/** Any OIDC issuer: nothing is promised but that `sub` names one identity (OpenID Connect Core §2). */
export const generic: Preset = { immutableClaims: ['/sub'], subjectClaims: null };
