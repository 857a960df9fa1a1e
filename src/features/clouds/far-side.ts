/** Asks the other side of a trade, again within a budget where that may help. What it answers is never shown to anybody. */
import { setTimeout as pause } from 'node:timers/promises';
import { Refusal, refusal } from '#kernel/errors.ts';
import { parseJson } from '#kernel/json.ts';
import type { JsonValue } from '#kernel/json.ts';
import type { Clock } from '#platform/clock.ts';
import type { Outbound, OutboundAnswer } from '#platform/outbound.ts';

export interface FarSide {
  readonly outbound: Outbound;
  readonly clock: Clock;
  /** Official endpoints, or what the operator put in their place. No slash at the end. */
  readonly endpoint: (name: EndpointName) => string | null;
  /** Before the second try; four times as long before the third. */
  readonly firstPauseMs: number;
}

export const endpointNames = ['gcp_sts', 'gcp_iam_credentials', 'aws_sts', 'azure_authority'] as const;
export type EndpointName = (typeof endpointNames)[number];

export interface FarQuestion {
  /** As people call it: `Google`. */
  readonly name: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly accept: readonly string[];
}

const maxTries = 3;
/** For all tries together. */
const budgetMs = 15_000;
const maxBytes = 64 * 1_024;

/** The answer, whatever its status below 500; 429 counts as not answered. Throws `cloud.unavailable`. */
export async function ask({ outbound, clock, firstPauseMs }: FarSide, { name, url, headers, body, accept }: FarQuestion): Promise<OutboundAnswer> {
  const untilMs = clock.monotonicMs() + budgetMs;
  let because = 'no time was left';
  for (let tries = 1, pauseMs = firstPauseMs; tries <= maxTries; tries++, pauseMs *= 4) {
    const timeoutMs = Math.floor(untilMs - clock.monotonicMs());
    if (timeoutMs <= 0) break;
    try {
      const answer = await outbound.request({ url, method: 'POST', headers, body, accept, maxBytes, timeoutMs });
      if (answer.status < 500 && answer.status !== 429) return answer;
      because = `it answered ${answer.status}`;
    } catch (error) {
      if (!(error instanceof Refusal) || !error.code.startsWith('outbound.')) throw error;
      because = error.because ?? error.message;
      if (error.code === 'outbound.refused') break;
    }
    if (tries < maxTries) await pause(Math.min(pauseMs, Math.max(0, untilMs - clock.monotonicMs())));
  }
  throw refusal('cloud.unavailable', { say: `${name} cannot be asked for a credential now`, because });
}

const documentLimits = { maxBytes, maxDepth: 16, maxNodes: 5_000 };

/** A JSON answer; null when it is none. */
export function documentIn({ body }: OutboundAnswer): JsonValue {
  return parseJson(body, documentLimits).value ?? null;
}

/** A member that is text, found step by step. */
export function textAt(document: JsonValue, ...path: readonly string[]): string | null {
  const value = memberAt(document, path);
  return typeof value === 'string' ? value : null;
}

/** A member that is a whole number of seconds, as a number or as text. */
export function secondsAt(document: JsonValue, ...path: readonly string[]): number | null {
  const value = memberAt(document, path);
  const number = typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : null;
}

function memberAt(document: JsonValue, path: readonly string[]): JsonValue {
  return path.reduce<JsonValue>((at, key) => (isObject(at) && Object.hasOwn(at, key) ? at[key]! : null), document);
}

function isObject(value: JsonValue): value is { readonly [member: string]: JsonValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What a credential may be: visible characters, so that no answer puts anything else into a step's environment. */
export function isCredential(text: string | null): text is string {
  return text !== null && text.length > 0 && text.length <= 32_768 && /^[\x21-\x7e]+$/.test(text);
}

export function odd(name: string): Refusal {
  return refusal('cloud.unavailable', { say: `${name} answered in a form that is not known`, because: 'the answer lacks what the protocol says' });
}

/** `texts`: known words of the other side → what is to be mended there. Other words are not repeated. */
export function refused(name: string, word: string | null, texts: Readonly<Record<string, string>>, status: number): Refusal {
  const text = word !== null && Object.hasOwn(texts, word) ? texts[word]! : `it answered ${status} without a reason that is known; its own audit has one`;
  return refusal('cloud.refused', { say: `${name} does not accept the token: ${text}` });
}
