import type { Preset } from './preset.ts';

/** JWT-SVIDs (SPIFFE JWT-SVID §3): `sub` is the SPIFFE ID, which is the identity itself. Several audiences are allowed. */
export const spiffe: Preset = {
  title: 'SPIFFE JWT-SVID',
  claims: [{ claim: '/sub', type: 'text', presence: 'required', immutable: true }],
  subjectClaims: null,
  issuers: [],
  selfHosted: true,
  contexts: [],
  severalAudiences: true,
};
