/** Asks an issuer for its keys: OpenID Connect Discovery 1.0 §4, RFC 7517 §5. Only issuers that are registered are asked. */
import { Refusal, refusal } from '#kernel/errors.ts';
import { parseJson } from '#kernel/json.ts';
import type { JsonValue } from '#kernel/json.ts';
import type { Clock } from '#platform/clock.ts';
import type { Outbound } from '#platform/outbound.ts';
import type { KeySource } from './schema.ts';
import { compileKeySet } from './verify.ts';
import type { KeySet } from './verify.ts';

export interface FetchedKeys {
  readonly set: KeySet;
  /** The document as it came. */
  readonly bytes: Buffer;
}

export interface FetchServices {
  readonly outbound: Outbound;
  readonly clock: Clock;
}

const maxBytes = 256 * 1_024;
/** For discovery and keys together. */
const timeoutMs = 5_000;
const accept = ['application/json', 'application/jwk-set+json'];
const documentLimits = { maxBytes, maxDepth: 16, maxNodes: 20_000 };

/** Throws `trust.keys_unavailable` with the cause in `because`; a set without a usable key is one. */
export async function fetchKeys(services: FetchServices, issuer: string, source: Exclude<KeySource, { from: 'inline' }>): Promise<FetchedKeys> {
  const untilMs = services.clock.monotonicMs() + timeoutMs;
  const how = { untilMs, ca: source.ca };
  const url = source.from === 'jwks' ? source.url : await discover(services, issuer, { allowedOrigins: source.allowedOrigins, how });
  const bytes = await get(services, url, how);
  return { set: readKeys(bytes), bytes };
}

/** Also for a document kept from an earlier fetch. */
export function readKeys(bytes: Uint8Array): KeySet {
  return compileKeySet(readJson(bytes, 'the key set'));
}

interface How {
  readonly untilMs: number;
  readonly ca: string | null;
}

/** Only the issuer itself may say where its keys lie, and only on its own origin or one that is spelled out. */
async function discover(services: FetchServices, issuer: string, options: { readonly allowedOrigins: readonly string[]; readonly how: How }): Promise<string> {
  const bytes = await get(services, `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, options.how);
  const document = readJson(bytes, 'the discovery document');
  const said = textOf(document, 'issuer');
  if (said !== issuer) throw unavailable('the discovery document is of another issuer');
  const uri = textOf(document, 'jwks_uri');
  const url = uri === undefined ? null : URL.parse(uri);
  if (uri === undefined || url === null) throw unavailable('the discovery document has no `jwks_uri`');
  if (url.origin !== new URL(issuer).origin && !options.allowedOrigins.includes(url.origin)) {
    throw unavailable(`\`jwks_uri\` leads to another origin, \`${url.origin.slice(0, 300)}\`; list it under \`keys.allowedOrigins\` if that is right`);
  }
  return uri;
}

async function get({ outbound, clock }: FetchServices, url: string, { untilMs, ca }: How): Promise<Buffer> {
  const leftMs = Math.floor(untilMs - clock.monotonicMs());
  if (leftMs <= 0) throw unavailable(`no complete answer within ${timeoutMs} ms`);
  try {
    const { status, body } = await outbound.request({ url, maxBytes, timeoutMs: leftMs, accept, ...(ca === null ? {} : { ca }) });
    if (status !== 200) throw unavailable(`the issuer answered ${status}`);
    return Buffer.from(body);
  } catch (error) {
    if (error instanceof Refusal && error.code.startsWith('outbound.')) throw unavailable(error.because ?? error.message);
    throw error;
  }
}

function readJson(bytes: Uint8Array, what: string): JsonValue {
  const { value, problem } = parseJson(bytes, documentLimits);
  if (problem !== undefined) throw unavailable(`${what} is not acceptable JSON: ${problem}`);
  return value;
}

function textOf(document: JsonValue, name: string): string | undefined {
  if (typeof document !== 'object' || document === null || !Object.hasOwn(document, name)) return undefined;
  const value = (document as Readonly<Record<string, JsonValue>>)[name];
  return typeof value === 'string' ? value : undefined;
}

function unavailable(because: string): Refusal {
  return refusal('trust.keys_unavailable', { because });
}
