import type { Samples } from './sample.ts';

const account = { iss: 'https://accounts.google.com', aud: 'https://sallyport.example', sub: '113774264463038321964', azp: '113774264463038321964', email: 'deployer@acme-prod.iam.gserviceaccount.com', email_verified: true };

export const samples: Samples = {
  from: 'Google Cloud, "Verify the identity of instances" and "Get an ID token"',
  tokens: [
    { says: 'a service account', claims: account, subject: '113774264463038321964' },
    {
      says: 'a machine, format full',
      claims: {
        ...account, hd: 'example.com',
        google: { compute_engine: { instance_creation_timestamp: 1_750_000_000, instance_id: '152986662232938449', instance_name: 'builder', project_id: 'acme-prod', project_number: 739_419_398_126, zone: 'europe-west1-b' } },
      },
      subject: '113774264463038321964',
    },
  ],
};
