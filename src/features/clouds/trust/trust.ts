/** The other side's configuration, by the type of the connector. A new cloud is a file beside the others and an entry here. */
import type { ConnectorSpec } from '#features/connectors/schema.ts';
import { awsTrust } from './aws.ts';
import { azureTrust } from './azure.ts';
import { gcpTrust } from './gcp.ts';
import { jwtTrust } from './jwt.ts';
import { kubernetesTrust } from './kubernetes.ts';
import { vaultTrust } from './vault.ts';
import type { Trust, TrustWish, TrustWriter } from './words.ts';

const writers: { readonly [T in ConnectorSpec['type']]: TrustWriter<Extract<ConnectorSpec, { type: T }>> } = {
  gcp_oidc: gcpTrust, aws_oidc: awsTrust, azure_oidc: azureTrust, vault_jwt: vaultTrust, kubernetes_oidc: kubernetesTrust, jwt: jwtTrust,
};

export function trustOf(wish: TrustWish): Trust {
  return (writers[wish.spec.type] as TrustWriter<ConnectorSpec>)(wish);
}
