import { lookup as lookupHost } from 'node:dns/promises';
import type { LookupFunction } from 'node:net';
import { isIPv6 } from 'node:net';
import { createSecureContext, getCACertificates } from 'node:tls';
import type { SecureContext } from 'node:tls';
import { buildConnector, Client } from 'undici';
import type { Dispatcher } from 'undici';
import { assert, Refusal, refusal } from '#kernel/errors.ts';
import { normalAddress } from '#platform/addresses.ts';
import { readAnswer } from '#platform/outbound-answer.ts';
import type { AnswerLimits, OutboundAnswer } from '#platform/outbound-answer.ts';
import { checkAddresses, compileOrigins, literalAddress, readTarget } from '#platform/outbound-target.ts';
import type { OutboundTarget } from '#platform/outbound-target.ts';

/**
 * The only way out to the network. A host is resolved, every address of it is checked, and the connection goes to
 * exactly the checked addresses; TLS and `Host` carry the original name. No redirects, no proxies from the environment,
 * no compression, no connection outlives its call.
 */
export interface Outbound {
  /**
   * Sends one request and gives the whole answer, whatever its status (redirects excepted).
   * Refuses with `outbound.refused` before anything is sent, with `outbound.failed` afterwards; `because` has the
   * cause for an administrator and says nothing about the body of the other side.
   */
  request(options: OutboundRequest): Promise<OutboundAnswer>;
  /** Ends all calls under way; later ones fail. */
  close(): Promise<void>;
}

export interface OutboundRequest extends AnswerLimits {
  readonly url: string;
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  /** PEM certificates of the only authorities to believe for this call; absent = those of the system. */
  readonly ca?: string;
  /** For all of it: resolving, connecting, sending, receiving. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

export interface OutboundSettings {
  /** Origins (scheme, host, port) whose addresses may be private, and which may be plain http. */
  readonly allowPrivateOrigins: readonly string[];
  /** PEM certificates trusted besides those of the system. */
  readonly extraCa?: string;
  /** All addresses of a host; the system's resolver unless a test brings its own. */
  readonly resolve?: (host: string) => Promise<readonly string[]>;
}

export type { OutboundAnswer } from '#platform/outbound-answer.ts';

const maxTimeoutMs = 600_000;
const maxHeaderBytes = 16 * 1024;

/** Headers that frame the message or belong to the connection are not the caller's to set. */
const ownHeaders = new Set([
  'host', 'connection', 'content-length', 'transfer-encoding', 'upgrade', 'expect', 'te', 'trailer', 'keep-alive',
  'proxy-authorization', 'proxy-connection', 'accept', 'accept-encoding',
]);

export function createOutbound(settings: OutboundSettings): Outbound {
  const allowedOrigins = compileOrigins(settings.allowPrivateOrigins);
  const resolve = settings.resolve ?? resolveBySystem;
  const trust = settings.extraCa === undefined ? undefined : trustAlso(settings.extraCa);
  const door = new AbortController();

  return {
    async request(options) {
      const { maxBytes, timeoutMs } = options;
      assert(maxBytes > 0 && timeoutMs > 0 && timeoutMs <= maxTimeoutMs, 'an outbound call is bounded');
      const target = readTarget(options.url, allowedOrigins);
      const headers = readHeaders(options);
      const late = new AbortController();
      const timer = setTimeout(() => late.abort(`no complete answer within ${timeoutMs} ms`), timeoutMs);
      const stops = [late.signal, door.signal, ...(options.signal === undefined ? [] : [options.signal])];
      const signal = AbortSignal.any(stops);
      try {
        const found = literalAddress(target) ?? await unlessAborted(signal, resolve(target.host));
        const addresses = checkAddresses(target, found);
        return await send({ target, addresses, headers, options, signal, trust: options.ca === undefined ? trust : trustOnly(options.ca) });
      } catch (error) {
        if (error instanceof Refusal) throw error;
        const because = signal.aborted ? stopReason(late.signal, door.signal) : describe(error);
        throw refusal('outbound.failed', { because: `\`${target.url.host}\`: ${because}` });
      } finally {
        clearTimeout(timer);
      }
    },
    async close() {
      door.abort();
    },
  };
}

interface Sending {
  readonly target: OutboundTarget;
  readonly addresses: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
  readonly options: OutboundRequest;
  readonly signal: AbortSignal;
  readonly trust: SecureContext | undefined;
}

async function send({ target, addresses, headers, options, signal, trust }: Sending): Promise<OutboundAnswer> {
  signal.throwIfAborted();
  const client = new Client(target.url.origin, {
    connect: pinnedConnector(addresses, options.timeoutMs, trust),
    allowH2: false,
    pipelining: 0,
    maxHeaderSize: maxHeaderBytes,
    // The call's own deadline covers these.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  try {
    const method: Dispatcher.HttpMethod = options.method ?? 'GET';
    const path = `${target.url.pathname}${target.url.search}`;
    const response = await client.request({ method, path, headers, body: options.body ?? null, signal });
    return await readAnswer(response, method, options, target.url.host);
  } finally {
    // Also ends what the other side is still sending.
    void client.destroy().catch(() => undefined);
  }
}

/** Connects to one of `addresses` and to nothing else, whatever the name resolves to by now. */
function pinnedConnector(
  addresses: readonly string[], timeoutMs: number, trust: SecureContext | undefined,
): buildConnector.connector {
  const lookup: LookupFunction = (_host, options, callback) => {
    const all = addresses.map((address) => ({ address, family: isIPv6(address) ? 6 : 4 }));
    const [first] = all;
    assert(first !== undefined, 'a connection needs a checked address');
    if (options.all === true) callback(null, all);
    else callback(null, first.address, first.family);
  };
  const connect = buildConnector({
    lookup,
    autoSelectFamily: true,
    timeout: timeoutMs,
    allowH2: false,
    maxCachedSessions: 0,
    minVersion: 'TLSv1.2',
    // Said outright because NODE_TLS_REJECT_UNAUTHORIZED would decide otherwise.
    rejectUnauthorized: true,
    ...(trust === undefined ? {} : { secureContext: trust }),
  });
  return (options, callback) => connect(options, (...[error, socket]) => {
    if (error !== null) return callback(error, null);
    if (addresses.includes(normalAddress(socket.remoteAddress ?? ''))) return callback(null, socket);
    socket.destroy();
    callback(new Error('the connection did not go to a checked address'), null);
  });
}

function readHeaders({ headers = {}, accept }: OutboundRequest): Readonly<Record<string, string>> {
  const sent: Record<string, string> = { 'user-agent': 'sallyport', 'accept-encoding': 'identity' };
  sent['accept'] = accept === undefined ? '*/*' : accept.join(', ');
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase();
    // Neither text is repeated: a value may be a credential.
    if (!/^[a-z0-9!#$%&'*+.^_`|~-]{1,100}$/.test(lower) || ownHeaders.has(lower)) {
      throw refusal('outbound.refused', { because: 'the request names a header that may not be set' });
    }
    if (!/^[\t\x20-\x7e]{0,16384}$/.test(value)) {
      const because = `the header \`${lower}\` has a value that cannot be sent (control characters, length)`;
      throw refusal('outbound.refused', { because });
    }
    sent[lower] = value;
  }
  return sent;
}

async function resolveBySystem(host: string): Promise<readonly string[]> {
  const found = await lookupHost(host, { all: true, order: 'verbatim' });
  return found.map(({ address }) => address);
}

function trustOnly(ca: string): SecureContext {
  try {
    return createSecureContext({ ca, minVersion: 'TLSv1.2' });
  } catch {
    throw refusal('outbound.refused', { because: 'the certificate authorities given for it cannot be read' });
  }
}

function trustAlso(extraCa: string): SecureContext {
  if (!extraCa.includes('-----BEGIN CERTIFICATE-----')) {
    throw refusal('config.invalid', { say: 'the extra certificate authorities are not PEM certificates' });
  }
  return createSecureContext({ ca: [...getCACertificates('default'), extraCa], minVersion: 'TLSv1.2' });
}

/** A resolver cannot be stopped, only no longer waited for. */
function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((fulfil, reject) => {
    const stop = () => reject(new Error('aborted'));
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    work.then(fulfil, reject);
  });
}

function stopReason(late: AbortSignal, door: AbortSignal): string {
  if (door.aborted) return 'the server is stopping';
  return late.aborted ? String(late.reason) : 'the call was given up';
}

/** Code and message only: errors of the HTTP parser carry bytes of the answer in other members. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return 'failed';
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
  return `${code}: ${error.message}`.slice(0, 300);
}
