import type { Samples } from './sample.ts';

export const samples: Samples = {
  from: 'SPIFFE JWT-SVID §3',
  tokens: [{
    says: 'a workload',
    claims: { iss: 'https://spire.example.org', aud: ['https://sallyport.example'], sub: 'spiffe://example.org/payments/deployer' },
    subject: 'spiffe://example.org/payments/deployer',
  }],
};
