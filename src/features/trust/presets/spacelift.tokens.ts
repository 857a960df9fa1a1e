import type { Samples } from './sample.ts';

export const samples: Samples = {
  from: 'Spacelift Docs, "OpenID Connect (OIDC)": standard and custom claims',
  tokens: [{
    says: 'a tracked run of a stack',
    claims: {
      iss: 'https://acme.app.spacelift.io', aud: 'acme.app.spacelift.io', jti: '01HZX2', sub: 'space:payments-01J:stack:shop:run_type:TRACKED:scope:write', spaceId: 'payments-01J',
      callerType: 'stack', callerId: 'shop', runType: 'TRACKED', runId: '01HZX3', scope: 'write',
    },
    subject: 'spaceId=payments-01J&callerType=stack&callerId=shop',
  }],
};
