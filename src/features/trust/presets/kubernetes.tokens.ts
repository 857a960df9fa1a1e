import type { Samples } from './sample.ts';

const account = '14ee3fa4-a7e2-420f-9f9a-dbc4507c3798';

export const samples: Samples = {
  from: 'Kubernetes, "Managing Service Accounts": schema for service account private claims',
  tokens: [
    {
      says: 'a projected token of a pod, the audience in a list',
      claims: {
        iss: 'https://kubernetes.default.svc.cluster.local', aud: ['https://sallyport.example'], sub: 'system:serviceaccount:payments:deployer', jti: 'ea28ed49-2e11-4280-9ec5-bc3d1d84661a',
        'kubernetes.io': {
          namespace: 'payments', serviceaccount: { name: 'deployer', uid: account }, pod: { name: 'deployer-0', uid: '5e0bd49b-f040-43b0-99b7-22765a53f7f3' },
          node: { name: 'node-1', uid: '646e7c5e-32d6-4d42-9dbd-e504e6cbe6b1' }, warnafter: 1_750_000_000,
        },
      },
      subject: `kubernetes.io/serviceaccount/uid=${account}`,
    },
    {
      says: 'a requested token, bound to a secret',
      claims: {
        iss: 'https://kubernetes.default.svc.cluster.local', aud: 'https://sallyport.example', sub: 'system:serviceaccount:payments:deployer',
        'kubernetes.io': { namespace: 'payments', serviceaccount: { name: 'deployer', uid: account }, secret: { name: 's', uid: '646e7c5e-32d6-4d42-9dbd-e504e6cbe6b2' } },
      },
      subject: `kubernetes.io/serviceaccount/uid=${account}`,
    },
  ],
};
