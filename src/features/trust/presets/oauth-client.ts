import type { Preset } from './preset.ts';

const keycloak = ['/azp', '/clientHost', '/clientAddress', '/preferred_username', '/acr', '/scope', '/typ', '/sid', '/session_state'];
const okta = ['/cid', '/uid'];
const common = ['/client_id', ...keycloak, ...okta, '/application_id'];

/**
 * Access tokens a client got in its own name (RFC 6749 §4.4, RFC 9068), from Keycloak, Okta and their like; for Entra there
 * is a preset of its own. `sub` is the client or its account. Claims that the authorization server was told to add are not
 * known here and are counted as such, unless `immutableClaims` of the issuer lists them.
 */
export const oauthClient: Preset = {
  title: 'OAuth 2 access tokens of clients (Keycloak, Okta, Entra)',
  claims: [
    { claim: '/sub', type: 'text', presence: 'required', immutable: true },
    ...common.map((claim) => ({ claim, type: 'text' as const, presence: 'sometimes' as const })),
    { claim: '/scp', type: 'any', presence: 'sometimes' },
    { claim: '/ver', type: 'any', presence: 'sometimes' },
    { claim: '/groups', type: 'list', presence: 'sometimes' },
    { claim: '/roles', type: 'list', presence: 'sometimes' },
    { claim: '/allowed-origins', type: 'list', presence: 'sometimes' },
    { claim: '/realm_access', type: 'object', presence: 'sometimes' },
    { claim: '/resource_access', type: 'object', presence: 'sometimes' },
    { claim: '/email_verified', type: 'boolean', presence: 'sometimes' },
    { claim: '/auth_time', type: 'number', presence: 'sometimes' },
  ],
  subjectClaims: null,
  issuers: [],
  selfHosted: true,
  contexts: [],
};
