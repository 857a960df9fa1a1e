import type { Samples } from './sample.ts';

const organization = '5c1b8b0e-9b7e-4f0a-8a55-0d1e2f3a4b01';
const project = '5c1b8b0e-9b7e-4f0a-8a55-0d1e2f3a4b02';

export const samples: Samples = {
  from: 'Azure DevOps REST API 7.1, "Oidctoken - Create"; a decoded token in sigstore/fulcio#1803',
  tokens: [{
    says: 'a run of a pipeline',
    claims: {
      iss: `https://vstoken.dev.azure.com/${organization}`, aud: 'api://AzureADTokenExchange', jti: '5c1b8b0e-9b7e-4f0a-8a55-0d1e2f3a4b03', sub: 'p://acme/shop/deploy',
      org_id: organization, prj_id: project, def_id: '17', rpo_id: '5c1b8b0e-9b7e-4f0a-8a55-0d1e2f3a4b04', rpo_uri: 'https://dev.azure.com/acme/shop/_git/shop',
      rpo_ver: '0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c', rpo_ref: 'refs/heads/main', run_id: '4711',
    },
    subject: `org_id=${organization}&prj_id=${project}&def_id=17`,
  }],
};
