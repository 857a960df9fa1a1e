/** The client side of our own API: for the CLI and the runner. The server's own way out is `outbound.ts`. */
import { request } from 'undici';
import type { Dispatcher } from 'undici';

export interface Remote {
  readonly url: string;
  /** Bearer token; null = none. */
  readonly token: string | null;
}

export interface RemoteAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Parsed when JSON, text otherwise, null when empty. */
  readonly body: unknown;
}

export interface RemoteRequest {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly form?: Readonly<Record<string, string>>;
  readonly bytes?: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

const maxAnswerBytes = 64 * 1024 * 1024;

export async function callRemote(remote: Remote, wanted: RemoteRequest): Promise<RemoteAnswer> {
  const { body, type } = payload(wanted);
  const headers: Record<string, string> = { accept: 'application/json', ...wanted.headers };
  if (remote.token !== null) headers['authorization'] = `Bearer ${remote.token}`;
  if (type !== null) headers['content-type'] = type;
  const signals = [AbortSignal.timeout(wanted.timeoutMs ?? 60_000), ...(wanted.signal === undefined ? [] : [wanted.signal])];
  const answer = await request(`${remote.url}${wanted.path}`, {
    method: wanted.method as Dispatcher.HttpMethod, headers, signal: AbortSignal.any(signals), ...(body === null ? {} : { body }),
  });
  const text = await bounded(answer.body);
  const kind = String(answer.headers['content-type'] ?? '');
  return {
    status: answer.statusCode,
    headers: Object.fromEntries(Object.entries(answer.headers).map(([name, value]) => [name, String(value)])),
    body: text === '' ? null : kind.includes('json') ? JSON.parse(text) : text,
  };
}

function payload(wanted: RemoteRequest): { body: string | Uint8Array | null; type: string | null } {
  if (wanted.form !== undefined) return { body: new URLSearchParams({ ...wanted.form }).toString(), type: 'application/x-www-form-urlencoded' };
  if (wanted.bytes !== undefined) return { body: wanted.bytes, type: 'application/octet-stream' };
  if (wanted.body !== undefined) return { body: JSON.stringify(wanted.body), type: 'application/json' };
  return { body: null, type: null };
}

async function bounded(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > maxAnswerBytes) throw new Error(`the answer has more than ${maxAnswerBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
