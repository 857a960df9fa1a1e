/** Connectors: where a pipeline goes out to. One at the account serves every project; the execution shapes the claims. */
import { z } from 'zod';
import type { FieldError } from '#kernel/errors.ts';
import type { Given, Kind } from '#kernel/kind.ts';
import { durationSeconds } from '#kernel/marks.ts';
import type { Entry } from '#kernel/world.ts';
import { awsSpec, awsType } from './types/aws.ts';
import { azureSpec, azureType } from './types/azure.ts';
import { gcpSpec, gcpType } from './types/gcp.ts';
import { jwtSpec, jwtType } from './types/jwt.ts';
import { kubernetesSpec, kubernetesType } from './types/kubernetes.ts';
import { vaultSpec, vaultType } from './types/vault.ts';
import type { ConnectorType } from './types/words.ts';
import type { UsableFacts } from './usable.ts';
import { usableFromGives } from './usable.ts';

export { usableFrom } from './types/words.ts';
export { againstPolicy } from './mint-policy.ts';
export { filledSubject, maxSubjectBytes } from './subject-template.ts';
export { isUsableFrom, useQuestions, usableFromGives } from './usable.ts';
export type { UsableFacts } from './usable.ts';
export { azureClouds, azureScopes } from './types/azure.ts';
export type { AwsSpec, SessionTagName } from './types/aws.ts';
export type { AzureSpec } from './types/azure.ts';
export { providerName } from './types/gcp.ts';
export type { GcpSpec } from './types/gcp.ts';
export type { JwtSpec } from './types/jwt.ts';
export type { KubernetesSpec } from './types/kubernetes.ts';
export type { VaultSpec } from './types/vault.ts';

/** A new type is a file in `types` and a line in each of these two. */
const connectorSpec = z.discriminatedUnion('type', [jwtSpec, gcpSpec, awsSpec, azureSpec, vaultSpec, kubernetesSpec]);
export type ConnectorSpec = z.infer<typeof connectorSpec>;

const types: { readonly [T in ConnectorSpec['type']]: ConnectorType<Extract<ConnectorSpec, { type: T }>> } = {
  jwt: jwtType, gcp_oidc: gcpType, aws_oidc: awsType, azure_oidc: azureType, vault_jwt: vaultType, kubernetes_oidc: kubernetesType,
};

function typeOf(spec: ConnectorSpec): ConnectorType<ConnectorSpec> {
  return types[spec.type] as ConnectorType<ConnectorSpec>;
}

export interface ConnectorFacts extends UsableFacts {
  readonly spec: ConnectorSpec;
  readonly audiences: readonly string[];
  readonly ttlSeconds: number;
}

/** `ownUrls` are URLs of this server: a token for ourselves would be a credential here, so no connector may ask for one. */
export function connectorKind(ownUrls: () => readonly string[]): Kind<ConnectorSpec> {
  return {
    name: 'connector',
    levels: ['account', 'org', 'project'],
    verbs: ['view', 'create', 'edit', 'delete', 'access', 'govern'],
    spec: connectorSpec,
    version: 1,
    retires: true,
    attributes: { type: (spec) => spec.type, category: (spec) => typeOf(spec).category },
    facts: ({ spec }): ConnectorFacts => ({ spec, usableFrom: spec.usableFrom ?? [], audiences: typeOf(spec).audiences(spec), ttlSeconds: durationSeconds(spec.ttl) }),
    check: (draft) => audienceFaults(draft.spec, ownUrls()),
    gives: (change) => [...usableFromGives(change), ...endpointGives(change)],
  };
}

/** Whoever says where tokens are sent can read them, and whatever is told to them there (CONTRACTS §5). */
function endpointGives({ before, after }: { before: Entry | null; after: Entry | null }): Given[] {
  if (after === null) return [];
  const { spec } = after.facts as ConnectorFacts;
  const known = before === null ? null : (before.facts as ConnectorFacts).spec;
  const said = (one: ConnectorSpec | null, field: string): unknown => (one === null ? undefined : (one as unknown as Readonly<Record<string, unknown>>)[field]);
  return (typeOf(spec).endpoints as readonly string[])
    .filter((field) => said(known, field) !== said(spec, field))
    .map((field) => ({
      bound: { permissions: ['secret.access', 'connector.access'], extent: { scope: after.scope, includeChildScopes: true, resources: 'all' } },
      why: `\`${field}\` says where tokens are sent`,
      pointer: `/${field}`,
    }));
}

function audienceFaults(spec: ConnectorSpec, ownUrls: readonly string[]): FieldError[] {
  const message = 'is this server itself; a minted token is for others';
  const pointer = (i: number): string => (spec.type === 'jwt' ? `/audiences/${i}` : 'audience' in spec && spec.audience !== undefined ? '/audience' : `/${typeOf(spec).endpoints[0] ?? 'type'}`);
  return typeOf(spec).audiences(spec).flatMap((text, i) => (isOwnAudience(text, ownUrls) ? [{ pointer: pointer(i), message }] : []));
}

/**
 * At or below any of our own URLs, whatever the scheme and however it is spelled: without a scheme, with the host's final
 * dot, with escapes or doubled slashes in the path.
 */
export function isOwnAudience(text: string, ownUrls: readonly string[]): boolean {
  const wanted = [text, `https://${text.replace(/^\/+/, '')}`].flatMap(placeOf);
  return ownUrls.flatMap(placeOf).some((own) => wanted.some(({ host, path }) => host === own.host && `${path}/`.startsWith(own.path === '' ? '/' : `${own.path}/`)));
}

interface UrlPlace {
  readonly host: string;
  /** Without a slash at its end. */
  readonly path: string;
}

function placeOf(text: string): UrlPlace[] {
  if (!URL.canParse(text)) return [];
  const { hostname, port, pathname } = new URL(text);
  return [{ host: `${hostname.toLowerCase().replace(/\.$/, '')}:${port}`, path: unescaped(pathname).replaceAll(/\/{2,}/g, '/').replace(/\/$/, '') }];
}

function unescaped(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
