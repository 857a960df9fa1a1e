/**
 * What an address may cost by being refused. Only refusals take from it, so nobody well-behaved notices; an address that
 * has used them up is sent away before anything is looked up for it, until some have come back.
 */
import { hash } from 'node:crypto';
import { isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';
import { Refusal, refusal } from '#kernel/errors.ts';
import type { RateRule, Rates } from './limits.ts';

export interface RefusalRate {
  /** Refuses an address that has used up its refusals. */
  admit(address: string): Promise<void>;
  count(address: string): Promise<void>;
}

export function createRefusalRate(rates: Rates, { purpose, perMinute }: { readonly purpose: string; readonly perMinute: number }): RefusalRate {
  const rule: RateRule = { perSecond: perMinute / 60, burst: perMinute };
  const keyOf = (address: string): string => `${purpose}:${hash('sha256', rangeOf(address), 'base64url')}`;
  return {
    async admit(address) {
      if (!(await rates.exhausted(keyOf(address), rule))) return;
      throw refusal('request.rate_limited', { retryAfterSeconds: Math.max(1, Math.ceil(1 / rule.perSecond)) });
    },
    async count(address) {
      await rates.take(keyOf(address), rule).catch(unlessRefused);
    },
  };
}

/** Whoever has an IPv6 address has a /64 of them. */
function rangeOf(address: string): string {
  if (!isIPv6(address)) return address;
  const parsed = ipaddr.process(address);
  return parsed.kind() === 'ipv4' ? parsed.toString() : parsed.toNormalizedString().split(':').slice(0, 4).join(':');
}

/** There may be none left to take. */
function unlessRefused(error: unknown): void {
  if (!(error instanceof Refusal)) throw error;
}
