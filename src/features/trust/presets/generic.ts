import type { Preset } from './preset.ts';

/** Any OIDC issuer: nothing is promised but that `sub` names one identity (OpenID Connect Core §2). */
export const generic: Preset = {
  title: 'any OIDC issuer',
  claims: [{ claim: '/sub', type: 'text', presence: 'required', immutable: true }],
  subjectClaims: null,
  issuers: [],
  selfHosted: true,
  contexts: [],
};
