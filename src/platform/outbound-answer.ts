import type { Dispatcher } from 'undici';
import { refusal } from '#kernel/errors.ts';

export interface AnswerLimits {
  /** Of the body. */
  readonly maxBytes: number;
  /** Media types, e.g. `application/json`; absent = any. An answer of success with another type fails. */
  readonly accept?: readonly string[];
}

export interface OutboundAnswer {
  readonly status: number;
  /** Names in lower case, repeated ones joined by `, `; no prototype. */
  readonly headers: Readonly<Record<string, string>>;
  /** Empty when the status is no success and the type is none of `accept`. */
  readonly body: Uint8Array;
}

const redirects = new Set([300, 301, 302, 303, 305, 307, 308]);

/** Checks status, type and declared length, then collects the body up to the limit. `host` is for the reason. */
export async function readAnswer(
  response: Dispatcher.ResponseData, method: string, limits: AnswerLimits, host: string,
): Promise<OutboundAnswer> {
  const status = response.statusCode;
  const fail = (because: string) => refusal('outbound.failed', { because: `\`${host}\` ${because}` });
  if (redirects.has(status)) throw fail(`answered ${status}; redirects are never followed, name the final URL`);
  const headers = joined(response.headers);
  const isEmpty = method === 'HEAD' || status === 204 || status === 304;
  if (!isEmpty && !isExpected(headers['content-type'], limits.accept)) {
    const isSuccess = status >= 200 && status < 300;
    if (isSuccess) throw fail(`answered with a content type other than ${limits.accept?.join(', ')}`);
    return { status, headers, body: new Uint8Array(0) };
  }
  const encoding = headers['content-encoding'] ?? 'identity';
  if (!isEmpty && encoding !== 'identity') throw fail('compressed its answer unasked');
  const tooLarge = () => fail(`answered with more than ${limits.maxBytes} bytes`);
  if (!isEmpty && Number(headers['content-length'] ?? 0) > limits.maxBytes) throw tooLarge();
  return { status, headers, body: await collect(response.body, limits.maxBytes, tooLarge) };
}

/** Copies into one growing buffer, so that a body sent byte by byte costs no more memory than any other. */
async function collect(
  chunks: AsyncIterable<Uint8Array>, maxBytes: number, tooLarge: () => Error,
): Promise<Uint8Array> {
  let body = new Uint8Array(Math.min(maxBytes, 16 * 1024));
  let size = 0;
  for await (const chunk of chunks) {
    if (size + chunk.length > maxBytes) throw tooLarge();
    if (size + chunk.length > body.length) {
      const larger = new Uint8Array(Math.min(maxBytes, Math.max(body.length * 2, size + chunk.length)));
      larger.set(body.subarray(0, size));
      body = larger;
    }
    body.set(chunk, size);
    size += chunk.length;
  }
  return body.subarray(0, size);
}

function isExpected(contentType: string | undefined, accept: readonly string[] | undefined): boolean {
  if (accept === undefined) return true;
  const essence = (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  return accept.includes(essence);
}

function joined(headers: Dispatcher.ResponseData['headers']): Readonly<Record<string, string>> {
  const result: Record<string, string> = Object.create(null);
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) result[name.toLowerCase()] = Array.isArray(value) ? value.join(', ') : value;
  }
  return Object.freeze(result);
}
