import type { Preset } from './preset.ts';

const machine = '/google/compute_engine';
const texts = [`${machine}/instance_name`, `${machine}/zone`, `${machine}/project_id`];

/**
 * ID tokens of Google Cloud service accounts. Anybody with a Google account gets tokens of this issuer. `sub` is the
 * account's number, which is never given out again; the e-mail is when an account is made again under its name.
 */
export const gcpServiceAccount: Preset = {
  title: 'Google Cloud service accounts',
  claims: [
    { claim: '/sub', type: 'text', presence: 'required', immutable: true, tenant: true },
    { claim: '/azp', type: 'text', presence: 'always', immutable: true },
    { claim: '/email', type: 'text', presence: 'sometimes', names: '/sub' },
    { claim: '/email_verified', type: 'boolean', presence: 'sometimes' },
    { claim: `${machine}/project_number`, type: 'number', presence: 'sometimes', immutable: true, tenant: true },
    { claim: `${machine}/instance_id`, type: 'text', presence: 'sometimes', immutable: true },
    { claim: `${machine}/instance_creation_timestamp`, type: 'number', presence: 'sometimes' },
    ...texts.map((claim) => ({ claim, type: 'text' as const, presence: 'sometimes' as const })),
    { claim: '/hd', type: 'text', presence: 'sometimes' },
  ],
  subjectClaims: null,
  issuers: [{ url: 'https://accounts.google.com', shared: true }],
  selfHosted: false,
  contexts: [],
};
