/** Which versions of mappings are known to be written down, so that a session of one that is writes nothing. */
import type { IssuerMapping } from './match.ts';

export interface MetVersions {
  /** Those nobody knows to be written. */
  unknown(accountId: string, mappings: readonly IssuerMapping[]): readonly IssuerMapping[];
  /** To be told once they are durable. */
  remember(accountId: string, mappings: readonly IssuerMapping[]): void;
}

const maxKnown = 50_000;

export function createMetVersions(): MetVersions {
  const known = new Set<string>();
  const keyOf = (accountId: string, { uid, version }: IssuerMapping): string => `${accountId} ${uid} ${version}`;
  return {
    unknown: (accountId, mappings) => mappings.filter((mapping) => !known.has(keyOf(accountId, mapping))),
    remember(accountId, mappings) {
      for (const mapping of mappings) {
        if (known.size >= maxKnown) known.delete(known.values().next().value!);
        known.add(keyOf(accountId, mapping));
      }
    },
  };
}
