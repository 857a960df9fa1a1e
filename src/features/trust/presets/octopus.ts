import type { Preset } from './preset.ts';

/**
 * Octopus Deploy: each server is an issuer. All a token says is in `sub`, made of slugs in the order the account was set up
 * with: `space:default:project:web:environment:production`. There are no ids.
 */
export const octopus: Preset = {
  title: 'Octopus Deploy',
  claims: [{ claim: '/sub', type: 'text', presence: 'required' }],
  subjectClaims: null,
  issuers: [{ url: 'https://*.octopus.app', shared: false }],
  selfHosted: true,
  contexts: [],
};
