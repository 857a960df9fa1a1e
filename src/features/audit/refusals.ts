/**
 * Refusals of callers nobody knows are counted per (operation or issuer, code, address prefix) and written as bounded
 * summaries: a flood of them costs a handful of rows a minute, not one row each.
 */
import ipaddr from 'ipaddr.js';
import { isIP } from 'node:net';
import type { Act } from '#platform/call.ts';
import type { Clock, Randomness } from '#platform/clock.ts';
import type { Database } from '#platform/database/database.ts';
import { eachAccount } from './each-account.ts';
import type { Recorder } from './record.ts';

export interface AnonymousRefusal {
  readonly accountId: string | null;
  readonly code: string;
  readonly address: string;
  /** Operation, or the registered issuer a refused token named. */
  readonly operation: string;
}

export interface RefusalCounts {
  count(refused: AnonymousRefusal): void;
  flush(): Promise<void>;
}

const maxKeys = 500;
const overflow = 'others';

export function createRefusalCounts(services: { database: Database; clock: Clock; randomness: Randomness; record: Recorder }): RefusalCounts {
  const counts = new Map<string, Map<string, number>>();

  function add(accountId: string, exact: string, count: number): void {
    let ofAccount = counts.get(accountId);
    if (ofAccount === undefined) counts.set(accountId, (ofAccount = new Map()));
    const key = ofAccount.has(exact) || ofAccount.size < maxKeys ? exact : JSON.stringify([overflow, overflow, overflow]);
    ofAccount.set(key, (ofAccount.get(key) ?? 0) + count);
  }

  async function write(accountId: string, taken: ReadonlyMap<string, number>): Promise<void> {
    const acts = [...taken].map(([key, count]): Act => {
      const [operation, code, addresses] = JSON.parse(key) as [string, string, string];
      return { action: 'refusals.summary', outcome: 'refused', detail: { operation, code, addresses, count } };
    });
    const context = { accountId, now: services.clock.now(), caller: null, address: null, requestId: services.randomness.uid(), action: 'refusals.summary' };
    await services.database.transaction((tx) => services.record(tx, context, acts));
  }

  return {
    count({ accountId, code, address, operation }) {
      if (accountId !== null && accountId !== '') add(accountId, JSON.stringify([operation, code, prefixOf(address)]), 1);
    },
    async flush() {
      await eachAccount('summaries of refusals are not written', [...counts.keys()], async (accountId) => {
        const taken = counts.get(accountId);
        // Another flush may have been quicker.
        if (taken === undefined || !counts.delete(accountId)) return;
        try {
          await write(accountId, taken);
        } catch (error) {
          for (const [key, count] of taken) add(accountId, key, count);
          throw error;
        }
      });
    },
  };
}

/** /24 for IPv4, /48 for IPv6: enough to see a pattern, too little to be a person. */
function prefixOf(address: string): string {
  if (isIP(address) === 0) return 'unknown';
  const parsed = ipaddr.process(address);
  const prefixBits = parsed.kind() === 'ipv4' ? 24 : 48;
  const network = parsed.kind() === 'ipv4' ? ipaddr.IPv4 : ipaddr.IPv6;
  return `${network.networkAddressFromCIDR(`${parsed.toString()}/${prefixBits}`).toString()}/${prefixBits}`;
}
