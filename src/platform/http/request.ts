/** What came over the wire, read strictly: credentials and addresses at once, the content only when somebody is admitted. */
import type { FastifyRequest } from 'fastify';
import { isIP } from 'node:net';
import { refusal } from '#kernel/errors.ts';
import { parseJson } from '#kernel/json.ts';
import type { Possession } from '#kernel/manifest.ts';
import type { AnyOperation } from '#kernel/operation.ts';
import type { ScopePath } from '#kernel/scope.ts';
import { parseScope } from '#kernel/scope.ts';
import type { Network } from '../networks.ts';
import { liesInAny } from '../networks.ts';
import { applyBytes } from './body.ts';

const jsonLimits = { maxBytes: applyBytes, maxDepth: 64, maxNodes: 400_000 };
/** Parameters RFC 8693 §2.1 and RFC 8707 §2 allow more than once. */
const repeatable = new Set(['audience', 'resource']);

/** Reading it costs time and may fail, so nobody unknown has it read. */
export interface RequestContent {
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, unknown>>;
  readonly body: unknown;
  readonly ifMatch: number | null;
  readonly minRevision: number | null;
  readonly idempotencyKey: string | null;
}

export function readContent(operation: AnyOperation, request: FastifyRequest, bytes: Buffer | null): RequestContent {
  const { account: _account, org: _org, project: _project, ...params } = request.params as Record<string, string>;
  const query = singleValues(request.query as Record<string, unknown>);
  const body = bytes === null || bytes.length === 0 ? undefined : readBody(operation, request, bytes);
  // No column can hold it, and no name, tag or text needs it.
  if ([params, query, body].some(holdsNul)) throw refusal('request.malformed', { say: 'the character U+0000 is not accepted' });
  return { params, query, body, ifMatch: readIfMatch(operation, request), minRevision: readMinRevision(request), idempotencyKey: readIdempotencyKey(request) };
}

/** Null when it is not a scope path: then nothing is there. */
export function scopeOf(request: FastifyRequest): ScopePath | null {
  const { org, project } = request.params as Record<string, string | undefined>;
  if (org === undefined) return parseScope('/');
  return org === '' ? null : parseScope(project === undefined ? org : `${org}/${project}`);
}

/** One credential, one way: the `Authorization` header. A null token = none; an empty one = one that cannot be accepted. */
export function credentialOf(request: FastifyRequest): { readonly token: string | null; readonly scheme: Possession['scheme'] } {
  const given = request.headers.authorization;
  if (given === undefined) return { token: null, scheme: null };
  // Node takes the first of several and a proxy perhaps the last.
  const found = isGivenOnce(request.raw.rawHeaders, 'authorization') ? /^(Bearer|DPoP) ([\x21-\x7e]{1,16384})$/i.exec(given) : null;
  if (found === null) return { token: '', scheme: null };
  return { token: found[2]!, scheme: found[1]!.toLowerCase() === 'dpop' ? 'DPoP' : 'Bearer' };
}

/** `raw` has names and values in turn. */
function isGivenOnce(raw: readonly string[], name: string): boolean {
  let count = 0;
  for (let at = 0; at < raw.length; at += 2) if (raw[at]!.length === name.length && raw[at]!.toLowerCase() === name) count += 1;
  return count === 1;
}

/**
 * The peer, unless it is a trusted proxy: then the last entry of `X-Forwarded-For` that is not one. What lies before it was
 * written by whoever sent the request, so an entry that cannot be read ends the search too: then it is the peer.
 */
export function clientAddress({ socket, headers }: Pick<FastifyRequest, 'socket' | 'headers'>, trusted: readonly Network[]): string {
  const peer = socket.remoteAddress ?? '';
  if (!liesInAny(peer, trusted)) return peer;
  const addresses = String(headers['x-forwarded-for'] ?? '').split(',').map(withoutPort);
  const client = addresses.findLast((address) => !liesInAny(address, trusted));
  return client === undefined || isIP(client) === 0 ? peer : client;
}

/** Some proxies write `203.0.113.9:51234`, `[2001:db8::1]:51234` or `[2001:db8::1]`. */
function withoutPort(entry: string): string {
  const text = entry.trim();
  return (/^\[(.*)\](?::\d+)?$/.exec(text) ?? /^([\d.]+):\d+$/.exec(text))?.[1] ?? text;
}

function singleValues(query: Record<string, unknown>): Record<string, unknown> {
  for (const [name, value] of Object.entries(query)) {
    if (Array.isArray(value)) throw refusal('request.invalid', { errors: [{ pointer: `/${name}`, message: 'is given more than once' }] });
  }
  return { ...query };
}

function readBody(operation: AnyOperation, request: FastifyRequest, bytes: Buffer): unknown {
  const type = (request.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase();
  if (operation.dialect === 'oauth') return readForm(bytes, type);
  if (type !== 'application/json' && !type.endsWith('+json')) throw refusal('request.unsupported_type', { say: 'send `application/json`' });
  const parsed = parseJson(bytes, jsonLimits);
  if ('problem' in parsed) throw refusal('request.malformed', { say: `${parsed.problem} at byte ${parsed.offset}` });
  return parsed.value;
}

function readForm(bytes: Buffer, type: string): Record<string, unknown> {
  if (type !== 'application/x-www-form-urlencoded') throw refusal('request.unsupported_type', { say: 'send `application/x-www-form-urlencoded`' });
  const form: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const [name, value] of new URLSearchParams(bytes.toString('utf8'))) {
    if (repeatable.has(name)) form[name] = [...((form[name] as string[] | undefined) ?? []), value];
    else if (Object.hasOwn(form, name)) throw refusal('request.invalid', { errors: [{ pointer: `/${name}`, message: 'is given more than once' }] });
    else form[name] = value;
  }
  return { ...form };
}

/** Values and names; the depth is bounded by what was parsed. */
function holdsNul(value: unknown): boolean {
  if (typeof value === 'string') return value.includes('\0');
  if (typeof value !== 'object' || value === null) return false;
  return Array.isArray(value) ? value.some(holdsNul) : Object.entries(value).some(([name, item]) => name.includes('\0') || holdsNul(item));
}

function readIfMatch(operation: AnyOperation, request: FastifyRequest): number | null {
  const header = request.headers['if-match'];
  if (header === undefined || header === '*') return null;
  // Whoever sends it would believe that nobody else's change can be lost.
  if (operation.write !== undefined && operation.versioned !== true) throw refusal('resource.precondition', { say: 'what this changes has no version; leave `If-Match` out' });
  const found = /^"(\d{1,15})"$/.exec(header);
  if (found === null) throw refusal('resource.precondition');
  return Number(found[1]);
}

function readMinRevision(request: FastifyRequest): number | null {
  const header = request.headers['sallyport-min-revision'];
  if (header === undefined) return null;
  if (typeof header !== 'string' || !/^\d{1,15}$/.test(header)) throw refusal('request.malformed', { say: 'the header `Sallyport-Min-Revision` must be one whole number' });
  return Number(header);
}

function readIdempotencyKey(request: FastifyRequest): string | null {
  const header = request.headers['idempotency-key'];
  if (header === undefined) return null;
  if (typeof header !== 'string' || !/^[\x21-\x7e]{1,255}$/.test(header)) throw refusal('request.malformed', { say: 'the header `Idempotency-Key` must be 1 to 255 printable characters' });
  return header;
}
