import type { PresetName } from '#features/trust/presets.ts';
import { samples as awsOutbound } from './aws-outbound.tokens.ts';
import { samples as azureDevops } from './azure-devops.tokens.ts';
import { samples as bitbucket } from './bitbucket.tokens.ts';
import { samples as buildkite } from './buildkite.tokens.ts';
import { samples as circleci } from './circleci.tokens.ts';
import { samples as entra } from './entra.tokens.ts';
import { samples as gcpServiceAccount } from './gcp-service-account.tokens.ts';
import { samples as generic } from './generic.tokens.ts';
import { samples as githubActions } from './github-actions.tokens.ts';
import { samples as gitlab } from './gitlab.tokens.ts';
import { samples as hcpTerraform } from './hcp-terraform.tokens.ts';
import { samples as kubernetes } from './kubernetes.tokens.ts';
import { samples as oauthClient } from './oauth-client.tokens.ts';
import { samples as octopus } from './octopus.tokens.ts';
import type { Samples } from './sample.ts';
import { samples as spacelift } from './spacelift.tokens.ts';
import { samples as spiffe } from './spiffe.tokens.ts';

/** One file of tokens for each preset; a preset without one does not compile. */
export const allSamples: Readonly<Record<PresetName, Samples>> = {
  generic, hcp_terraform: hcpTerraform, github_actions: githubActions, gitlab, circleci, buildkite, bitbucket, azure_devops: azureDevops, entra, kubernetes,
  gcp_service_account: gcpServiceAccount, aws_outbound: awsOutbound, spacelift, octopus, spiffe, oauth_client: oauthClient,
};
