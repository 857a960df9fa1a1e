import type { Samples } from './sample.ts';

export const samples: Samples = {
  from: 'RFC 9068 §2.2; Keycloak server administration guide, service accounts; Okta, client credentials flow; Microsoft identity platform, access tokens',
  tokens: [
    { says: 'RFC 9068', claims: { iss: 'https://as.example.com', aud: 'https://sallyport.example', sub: 'dynatrace-automation', client_id: 'dynatrace-automation', jti: '1', application_id: 'app_x' }, subject: 'dynatrace-automation' },
    {
      says: 'Keycloak',
      claims: {
        iss: 'https://sso.example.com/realms/acme', aud: 'https://sallyport.example', sub: '0f2f6d1e-6d0a-4f5e-9d0e-1a2b3c4d5e01', jti: 'trrtcc:1', typ: 'Bearer', azp: 'deployer', client_id: 'deployer', acr: '1', scope: 'profile email',
        'allowed-origins': ['/*'], realm_access: { roles: ['offline_access'] }, resource_access: { account: { roles: ['view-profile'] } }, clientHost: '192.0.2.1', clientAddress: '192.0.2.1',
        preferred_username: 'service-account-deployer', email_verified: false, groups: ['/ops'], sid: 's', session_state: 's', auth_time: 0,
      },
      subject: '0f2f6d1e-6d0a-4f5e-9d0e-1a2b3c4d5e01',
    },
    { says: 'Okta', claims: { iss: 'https://acme.okta.com/oauth2/default', aud: 'https://sallyport.example', sub: '0oa1gbs', ver: 1, jti: 'AT.1', cid: '0oa1gbs', scp: ['deploy'], uid: '00u1' }, subject: '0oa1gbs' },
    {
      says: 'Entra, read without its own preset',
      claims: { iss: 'https://login.microsoftonline.com/8f14e45f-ceea-467f-a0e6-2f1b6c7d8e09/v2.0', aud: 'https://sallyport.example', sub: '8f14e45f-ceea-467f-a0e6-2f1b6c7d8e02', azp: '8f14e45f-ceea-467f-a0e6-2f1b6c7d8e03', roles: ['Deploy.All'], ver: '2.0' },
      subject: '8f14e45f-ceea-467f-a0e6-2f1b6c7d8e02',
    },
  ],
};
