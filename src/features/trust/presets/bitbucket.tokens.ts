import type { Samples } from './sample.ts';

const workspace = '{7f2a1c5e-0d3b-4e6f-9a8b-1c2d3e4f5a01}';
const repository = '{7f2a1c5e-0d3b-4e6f-9a8b-1c2d3e4f5a02}';
const step = '{7f2a1c5e-0d3b-4e6f-9a8b-1c2d3e4f5a03}';
const claims = {
  iss: 'https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc', sub: `${repository}:${step}`, workspaceUuid: workspace, repositoryUuid: repository,
  pipelineUuid: '{7f2a1c5e-0d3b-4e6f-9a8b-1c2d3e4f5a04}', stepUuid: step, branchName: 'main',
};
const subject = `workspaceUuid=${encodeURIComponent(workspace)}&repositoryUuid=${encodeURIComponent(repository)}`;

export const samples: Samples = {
  from: 'Bitbucket Cloud, "Integrate Pipelines with resource servers using OIDC"; claim names as widely used, not verified against a live token',
  tokens: [
    { says: 'a step on a branch', claims: { ...claims, aud: 'https://sallyport.example' }, subject },
    {
      says: 'a deployment, with the audience in a list',
      claims: {
        ...claims, aud: ['https://sallyport.example'], sub: `${repository}:{7f2a1c5e-0d3b-4e6f-9a8b-1c2d3e4f5a05}:${step}`, deploymentEnvironmentUuid: '{7f2a1c5e-0d3b-4e6f-9a8b-1c2d3e4f5a05}', pullRequestId: '3',
      },
      subject,
    },
  ],
};
