/** The presets by name, and what follows from one about an issuer and its claims. Pure. */
import { globMatches } from '#kernel/matcher.ts';
import { awsOutbound } from './presets/aws-outbound.ts';
import { azureDevops } from './presets/azure-devops.ts';
import { bitbucket } from './presets/bitbucket.ts';
import { buildkite } from './presets/buildkite.ts';
import { circleci } from './presets/circleci.ts';
import { entra } from './presets/entra.ts';
import { gcpServiceAccount } from './presets/gcp-service-account.ts';
import { generic } from './presets/generic.ts';
import { githubActions } from './presets/github-actions.ts';
import { gitlab } from './presets/gitlab.ts';
import { hcpTerraform } from './presets/hcp-terraform.ts';
import { kubernetes } from './presets/kubernetes.ts';
import { oauthClient } from './presets/oauth-client.ts';
import { octopus } from './presets/octopus.ts';
import type { IssuerAddress, KnownClaim, Preset } from './presets/preset.ts';
import { spacelift } from './presets/spacelift.ts';
import { spiffe } from './presets/spiffe.ts';

export type { ClaimType, ContextMark, KnownClaim, Preset } from './presets/preset.ts';

/** By the name a TrustedIssuer gives under `preset`. A new issuer is a file beside the others and a line here. */
export const presets = {
  generic,
  hcp_terraform: hcpTerraform,
  github_actions: githubActions,
  gitlab,
  circleci,
  buildkite,
  bitbucket,
  azure_devops: azureDevops,
  entra,
  kubernetes,
  gcp_service_account: gcpServiceAccount,
  aws_outbound: awsOutbound,
  spacelift,
  octopus,
  spiffe,
  oauth_client: oauthClient,
} as const satisfies Record<string, Preset>;

export type PresetName = keyof typeof presets;
export const presetNames = Object.keys(presets) as [PresetName, ...PresetName[]];

/** The preset that knows this issuer's address, whatever its document says. */
export function presetAt(issuer: string): { readonly name: PresetName; readonly shared: boolean } | null {
  for (const name of presetNames) {
    const address = addressIn(presets[name], issuer);
    if (address !== null) return { name, shared: address.shared };
  }
  return null;
}

/**
 * Whether customers who have nothing to do with each other get tokens of this issuer: by its address, and where nobody can
 * host it for himself, wherever it is.
 */
export function isShared(preset: Preset, issuer: string): boolean {
  const known = presetAt(issuer);
  if (known !== null) return known.shared;
  return !preset.selfHosted && preset.issuers.some(({ shared }) => shared);
}

/** Null when it is at none of the addresses the preset knows. */
export function addressIn(preset: Preset, issuer: string): IssuerAddress | null {
  const text = plainAddress(issuer);
  return preset.issuers.find(({ url }) => globMatches(url, text)) ?? null;
}

/** Host names know no case, and a slash at the end makes no other place. */
function plainAddress(issuer: string): string {
  return (URL.parse(issuer)?.href ?? issuer).replace(/\/+$/, '');
}

export function knownClaim(preset: Preset, claim: string): KnownClaim | undefined {
  return preset.claims.find((known) => known.claim === claim);
}

export function immutableClaimsOf(preset: Preset): string[] {
  return preset.claims.filter(({ immutable }) => immutable === true).map(({ claim }) => claim);
}

export function tenantClaimsOf(preset: Preset): string[] {
  return preset.claims.filter(({ tenant }) => tenant === true).map(({ claim }) => claim);
}
