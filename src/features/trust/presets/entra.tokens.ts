import type { Samples } from './sample.ts';

const tenant = '8f14e45f-ceea-467f-a0e6-2f1b6c7d8e01';
const object = '8f14e45f-ceea-467f-a0e6-2f1b6c7d8e02';
const client = '8f14e45f-ceea-467f-a0e6-2f1b6c7d8e03';
const common = { aud: 'https://sallyport.example', tid: tenant, oid: object, sub: object, idp: `https://sts.windows.net/${tenant}/`, idtyp: 'app', aio: 'k2RgYP', rh: '1.AXoA', uti: 'abc' };
const subject = `tid=${tenant}&oid=${object}`;

export const samples: Samples = {
  from: 'Microsoft identity platform, "Access token claims reference"',
  tokens: [
    { says: 'an application, version 2', claims: { ...common, iss: `https://login.microsoftonline.com/${tenant}/v2.0`, ver: '2.0', azp: client, azpacr: '2', roles: ['Deploy.All'] }, subject },
    {
      says: 'a managed identity, version 1',
      claims: {
        ...common, iss: `https://sts.windows.net/${tenant}/`, ver: '1.0', appid: client, appidacr: '2', app_displayname: 'deployer', groups: ['8f14e45f-ceea-467f-a0e6-2f1b6c7d8e04'],
        xms_mirid: '/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/deployer', scp: 'x',
      },
      subject,
    },
  ],
};
