/** Connectors: where a pipeline goes out to. One at the account serves every project; the execution shapes the claims. */
import { z } from 'zod';
import type { FieldError } from '#kernel/errors.ts';
import type { Kind } from '#kernel/kind.ts';
import { duration, durationSeconds, scopePattern } from '#kernel/marks.ts';
import type { UsableFacts } from './usable.ts';
import { usableFromGives } from './usable.ts';

export { isUsableFrom, useQuestions, usableFromGives } from './usable.ts';
export type { UsableFacts } from './usable.ts';

export const usableFrom = z.array(scopePattern).max(200).optional();

const audience = z.string().max(512).regex(/^[\x21-\x7e]+$/, { error: 'must be printable ASCII without spaces' });
/** Minted tokens live minutes: a step asks again rather than hold one. */
const ttl = duration({ minSeconds: 60, maxSeconds: 3_600 }).default('10m');

const jwt = z.strictObject({ type: z.literal('jwt'), audiences: z.array(audience).min(1).max(20), ttl, usableFrom });

const gcpOidc = z.strictObject({
  type: z.literal('gcp_oidc'),
  projectNumber: z.string().regex(/^\d{1,20}$/, { error: 'must be the number of the project, as text' }),
  poolId: z.string().regex(/^[a-z][a-z0-9-]{2,30}[a-z0-9]$/, { error: 'must be a workload identity pool id' }),
  providerId: z.string().regex(/^[a-z][a-z0-9-]{2,30}[a-z0-9]$/, { error: 'must be a provider id' }),
  serviceAccountEmail: z.email().max(254).optional(),
  ttl,
  usableFrom,
});

const connectorSpec = z.discriminatedUnion('type', [jwt, gcpOidc]);
export type ConnectorSpec = z.infer<typeof connectorSpec>;

export interface ConnectorFacts extends UsableFacts {
  readonly type: ConnectorSpec['type'];
  readonly audiences: readonly string[];
  readonly ttlSeconds: number;
}

/** What a token for this connector is for. GCP takes the https form of the provider's full name by default. */
function audiencesOf(spec: ConnectorSpec): readonly string[] {
  if (spec.type === 'jwt') return spec.audiences;
  const { projectNumber, poolId, providerId } = spec;
  return [`https://iam.googleapis.com/projects/${projectNumber}/locations/global/workloadIdentityPools/${poolId}/providers/${providerId}`];
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
    attributes: { type: (spec) => spec.type, category: (spec) => (spec.type === 'gcp_oidc' ? 'CLOUD_PROVIDER' : 'IDENTITY') },
    facts: ({ spec }): ConnectorFacts => ({
      type: spec.type, usableFrom: spec.usableFrom ?? [], audiences: audiencesOf(spec), ttlSeconds: durationSeconds(spec.ttl),
    }),
    check: (draft) => audienceFaults(draft.spec, ownUrls()),
    gives: usableFromGives,
  };
}

function audienceFaults(spec: ConnectorSpec, ownUrls: readonly string[]): FieldError[] {
  if (spec.type !== 'jwt') return [];
  return spec.audiences.flatMap((text, i) => (isOwnAudience(text, ownUrls) ? [{ pointer: `/audiences/${i}`, message: 'is this server itself; a minted token is for others' }] : []));
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
