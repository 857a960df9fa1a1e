import type { Samples } from './sample.ts';

const job = {
  iss: 'https://agent.buildkite.com', aud: 'https://sallyport.example', sub: 'organization:acme:pipeline:shop:ref:refs/heads/main:commit:9f3182061f1e2cca4702c368cbc039b7dc9d4485:step:build',
  organization_slug: 'acme', organization_id: '0184990a-477b-4fa8-9968-496074483001', pipeline_slug: 'shop', pipeline_id: '0184990a-477b-4fa8-9968-496074483002',
  build_number: 41, build_branch: 'main', build_commit: '9f3182061f1e2cca4702c368cbc039b7dc9d4485', step_key: 'build', job_id: '0184990a-477b-4fa8-9968-496074483003',
  agent_id: '0184990a-4782-42b5-afc1-16715b10b004', build_source: 'webhook', runner_environment: 'self-hosted',
};
const subject = 'organization_id=0184990a-477b-4fa8-9968-496074483001&pipeline_id=0184990a-477b-4fa8-9968-496074483002';

export const samples: Samples = {
  from: 'Buildkite Docs, "buildkite-agent oidc": claims, required and optional',
  tokens: [
    { says: 'a job that asked for the ids', claims: job, subject },
    {
      says: 'a tag, with all optional claims',
      claims: {
        ...job, build_tag: 'v1', build_id: '0184990a-477b-4fa8-9968-496074483005', cluster_id: '0184990a-477b-4fa8-9968-496074483006', cluster_name: 'main',
        queue_id: '0184990a-477b-4fa8-9968-496074483007', queue_key: 'linux',
      },
      subject,
    },
  ],
};
