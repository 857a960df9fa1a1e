import type { Preset } from './preset.ts';

/**
 * Spacelift: an issuer for each account. A space has an id; a stack or module is known by its slug, which another one may
 * get in another space, so both are in the subject.
 */
export const spacelift: Preset = {
  title: 'Spacelift',
  claims: [
    { claim: '/spaceId', type: 'text', presence: 'required', immutable: true },
    { claim: '/callerType', type: 'text', presence: 'required', values: ['stack', 'module'] },
    { claim: '/callerId', type: 'text', presence: 'required' },
    { claim: '/sub', type: 'text', presence: 'always' },
    { claim: '/runId', type: 'text', presence: 'always', immutable: true },
    { claim: '/runType', type: 'text', presence: 'always', values: ['PROPOSED', 'TRACKED', 'TASK', 'TESTING', 'DESTROY'] },
    { claim: '/scope', type: 'text', presence: 'always', values: ['read', 'write'] },
  ],
  subjectClaims: ['/spaceId', '/callerType', '/callerId'],
  issuers: [{ url: 'https://*.app.spacelift.io', shared: false }, { url: 'https://*.app.us.spacelift.io', shared: false }],
  selfHosted: true,
  contexts: [{
    context: 'pull request', claim: '/runType', values: ['PROPOSED', 'TESTING'], orCompared: ['/scope'],
    remedy: '`{ claim: /scope, equals: write }` keeps out runs that only propose',
  }],
};
