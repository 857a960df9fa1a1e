import type { Preset } from './preset.ts';

const tenant = '/tid';

/**
 * Applications and managed identities of Microsoft Entra, and service connections of Azure DevOps that Entra signs for. The
 * issuer's URL has the tenant's id. Version 1 tokens name the application in `appid`, version 2 in `azp`. Without `idtyp`,
 * which the application has to ask for, a token does not say whether a person is behind it.
 */
export const entra: Preset = {
  title: 'Microsoft Entra ID',
  claims: [
    { claim: tenant, type: 'text', presence: 'required', immutable: true, tenant: true },
    { claim: '/oid', type: 'text', presence: 'required', immutable: true },
    { claim: '/sub', type: 'text', presence: 'always', immutable: true },
    { claim: '/ver', type: 'text', presence: 'always', values: ['1.0', '2.0'] },
    { claim: '/azp', type: 'text', presence: 'sometimes', immutable: true },
    { claim: '/appid', type: 'text', presence: 'sometimes', immutable: true },
    { claim: '/azpacr', type: 'text', presence: 'sometimes' },
    { claim: '/appidacr', type: 'text', presence: 'sometimes' },
    { claim: '/idtyp', type: 'text', presence: 'sometimes', values: ['app', 'user', 'device'] },
    { claim: '/idp', type: 'text', presence: 'sometimes' },
    { claim: '/roles', type: 'list', presence: 'sometimes' },
    { claim: '/groups', type: 'list', presence: 'sometimes' },
    { claim: '/scp', type: 'text', presence: 'sometimes' },
    { claim: '/app_displayname', type: 'text', presence: 'sometimes', names: '/oid' },
    { claim: '/xms_mirid', type: 'text', presence: 'sometimes', names: '/oid' },
    { claim: '/aio', type: 'text', presence: 'sometimes' },
    { claim: '/rh', type: 'text', presence: 'sometimes' },
    { claim: '/uti', type: 'text', presence: 'sometimes' },
  ],
  subjectClaims: [tenant, '/oid'],
  issuers: [
    { url: 'https://login.microsoftonline.com/*/v2.0', shared: false },
    { url: 'https://sts.windows.net/*', shared: false },
    { url: 'https://login.microsoftonline.us/*/v2.0', shared: false },
    { url: 'https://login.partner.microsoftonline.cn/*/v2.0', shared: false },
  ],
  selfHosted: false,
  contexts: [],
};
