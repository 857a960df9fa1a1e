import type { Samples } from './sample.ts';

export const samples: Samples = {
  from: 'OpenID Connect Core 1.0 §2',
  tokens: [{
    says: 'an id token with what the standard asks for',
    claims: { iss: 'https://id.example.com', aud: 'https://sallyport.example', sub: 'build-agent-7', email: 'agent@example.com' },
    subject: 'build-agent-7',
  }],
};
