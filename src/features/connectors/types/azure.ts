import { z } from 'zod';
import type { ConnectorType } from './words.ts';
import { algorithm, audience, mintPolicy, subject, ttl, usableFrom } from './words.ts';

const azureScope = z.string().max(512).regex(/^[\x21-\x7e]+\/\.default$/, { error: 'must be a resource with `/.default`, such as `https://management.azure.com/.default`' });

/** Where each cloud signs in and is managed. */
export const azureClouds = {
  public: { authority: 'https://login.microsoftonline.com', management: 'https://management.azure.com/.default' },
  us_government: { authority: 'https://login.microsoftonline.us', management: 'https://management.usgovcloudapi.net/.default' },
  china: { authority: 'https://login.chinacloudapi.cn', management: 'https://management.chinacloudapi.cn/.default' },
} as const;

export const azureSpec = z.strictObject({
  type: z.literal('azure_oidc'),
  tenantId: z.uuid(),
  clientId: z.uuid().describe('of the application, or of the managed identity, that has the federated credential'),
  cloud: z.enum(Object.keys(azureClouds) as [keyof typeof azureClouds, ...(keyof typeof azureClouds)[]]).default('public'),
  scopes: z.array(azureScope).min(1).max(20).optional().describe('what tokens may be asked for; without it the management of the cloud'),
  audience: audience.default('api://AzureADTokenExchange'),
  ttl,
  algorithm,
  subject,
  usableFrom,
  mintPolicy,
});
export type AzureSpec = z.infer<typeof azureSpec>;

export function azureScopes(spec: AzureSpec): readonly string[] {
  return spec.scopes ?? [azureClouds[spec.cloud].management];
}

/** An application of Entra with a federated credential for our issuer. */
export const azureType: ConnectorType<AzureSpec> = { category: 'CLOUD_PROVIDER', audiences: (spec) => [spec.audience], endpoints: [] };
