import type { Samples } from './sample.ts';

export const samples: Samples = {
  from: 'Octopus Deploy, "OpenID Connect": subject keys',
  tokens: [{
    says: 'a deployment',
    claims: { iss: 'https://acme.octopus.app', aud: 'https://sallyport.example', jti: '1', sub: 'space:default:project:shop:environment:production' },
    subject: 'space:default:project:shop:environment:production',
  }],
};
