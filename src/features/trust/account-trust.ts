/** Issuers and mappings of a world, indexed until one of them changes. */
import type { Entry, World } from '#kernel/world.ts';
import { entryPath } from '#kernel/world.ts';
import type { MappingIndex } from './match.ts';
import { indexMappings } from './match.ts';
import type { ClaimMappingFacts, IssuerFacts } from './schema.ts';

export interface TrustedIssuer {
  readonly uid: string;
  readonly path: string;
  readonly facts: IssuerFacts;
}

const issuersKey = Symbol('trust issuers');
const mappingsKey = Symbol('trust mappings');
const none: MappingIndex = indexMappings([]);

/** By the exact text of `iss`. */
export function findIssuer(world: World, issuer: string): TrustedIssuer | undefined {
  const issuers = world.derive(issuersKey, ['trusted_issuer'], (from) => {
    const entries = [...from.list('trusted_issuer')].map((entry): TrustedIssuer => ({ uid: entry.uid, path: entryPath(entry), facts: entry.facts as IssuerFacts }));
    return new Map(entries.map((entry) => [entry.facts.rules.issuer, entry]));
  });
  return issuers.get(issuer);
}

export function mappingsOf(world: World, issuerUid: string): MappingIndex {
  const indexes = world.derive(mappingsKey, ['claim_mapping'], (from) => {
    const byIssuer = Map.groupBy(from.list('claim_mapping'), (entry) => (entry.facts as ClaimMappingFacts).issuerUid);
    return new Map([...byIssuer].map(([uid, entries]) => [uid, indexMappings(entries.map(mappingOf))]));
  });
  return indexes.get(issuerUid) ?? none;
}

function mappingOf(entry: Entry) {
  return { uid: entry.uid, version: entry.version, path: entryPath(entry), facts: entry.facts as ClaimMappingFacts };
}
