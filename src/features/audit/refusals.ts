/**
 * Refusals of callers nobody knows are counted per (operation or issuer, code, address prefix) and written as bounded
 * summaries: a flood of them costs a handful of rows a minute, not one row each.
 */
import { isIP } from 'node:net';
import type { Act } from '#platform/call.ts';
import type { Clock, Randomness } from '#platform/clock.ts';
import type { Database } from '#platform/database/database.ts';
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
  let counts = new Map<string, Map<string, number>>();

  return {
    count({ accountId, code, address, operation }) {
      if (accountId === null || accountId === '') return;
      let ofAccount = counts.get(accountId);
      if (ofAccount === undefined) counts.set(accountId, (ofAccount = new Map()));
      const exact = JSON.stringify([operation, code, prefixOf(address)]);
      const key = ofAccount.has(exact) || ofAccount.size < maxKeys ? exact : JSON.stringify([overflow, overflow, overflow]);
      ofAccount.set(key, (ofAccount.get(key) ?? 0) + 1);
    },
    async flush() {
      if (counts.size === 0) return;
      const taken = counts;
      counts = new Map();
      const now = services.clock.now();
      for (const [accountId, ofAccount] of taken) {
        const acts = [...ofAccount].map(([key, count]): Act => {
          const [operation, code, addresses] = JSON.parse(key) as [string, string, string];
          return { action: 'refusals.summary', outcome: 'refused', detail: { operation, code, addresses, count } };
        });
        const context = { accountId, now, caller: null, address: null, requestId: services.randomness.uid(), action: 'refusals.summary' };
        await services.database.transaction((tx) => services.record(tx, context, acts));
      }
    },
  };
}

/** /24 for IPv4, /48 for IPv6: enough to see a pattern, too little to be a person. */
function prefixOf(address: string): string {
  const plain = address.startsWith('::ffff:') ? address.slice(7) : address;
  if (isIP(plain) === 4) return `${plain.split('.').slice(0, 3).join('.')}.0/24`;
  if (isIP(plain) === 6) return `${plain.split(':').slice(0, 3).join(':')}::/48`;
  return 'unknown';
}
