/** Names of an issuer that came with another id than before: the list, and taking the new id for good. */
import { z } from 'zod';
import { givenByMapping } from '#features/access/feature.ts';
import { authorOf, targetOf } from '#features/resources/feature.ts';
import type { Check } from '#kernel/decision.ts';
import { refusal } from '#kernel/errors.ts';
import type { Kinds } from '#kernel/kind.ts';
import type { AnyOperation } from '#kernel/operation.ts';
import { accountScope } from '#kernel/scope.ts';
import type { Entry } from '#kernel/world.ts';
import { entryPath } from '#kernel/world.ts';
import { on, operation } from '#platform/call.ts';
import type { Call } from '#platform/call.ts';
import type { Database } from '#platform/database/database.ts';
import type { Cursors } from '#platform/http/cursor.ts';
import { page, pageOf } from '#platform/http/paged.ts';
import { refuseMissing } from '#platform/http/refuse.ts';
import { acceptPin, claimOfPin, listPins } from './id-drift-store.ts';
import type { StoredPin } from './id-drift-store.ts';
import { trustsName } from './name-pins.ts';
import type { ClaimMappingFacts, IssuerFacts } from './schema.ts';

export interface DriftOperationServices {
  readonly database: Database;
  readonly cursors: Cursors;
  readonly kinds: Kinds;
}

const time = z.iso.datetime({ precision: 3 });
const params = z.strictObject({ identifier: z.string().max(128) });
const pinText = z.string().regex(/^[0-9a-f]{64}$/, { error: 'must be the `pin` of a name, 64 hexadecimal digits' });

const pinView = z.strictObject({
  pin: pinText,
  claim: z.string(),
  name: z.string(),
  tenant: z.string().describe('the tenant as claim mappings state it, and the names this one is one among; may be empty'),
  id: z.string().describe('the id the name is pinned to'),
  firstSeen: time,
  acceptedAt: time.nullable(),
  acceptedBy: z.string().nullable(),
  otherId: z.string().nullable().describe('the id the name came with last, and was refused'),
  otherSeen: time.nullable(),
  refused: z.number().int(),
});

export function idDriftOperations(services: DriftOperationServices): AnyOperation[] {
  const list = operation({
    name: 'trusted_issuer.drift',
    summary: 'Names of an issuer and the ids they are pinned to; without `all` only those that came with another id',
    method: 'GET',
    path: '{account}/trusted-issuers/{identifier}/drift',
    input: { params, query: page.extend({ all: z.enum(['true', 'false']).default('false') }) },
    output: z.strictObject({ items: z.array(pinView), next: z.string().nullable() }),
    access: on('trusted_issuer.view', async (call: Call, { params: { identifier } }: { params: { identifier: string } }) => {
      const entry = call.world.find('trusted_issuer', accountScope, identifier);
      return entry === undefined ? null : { target: targetOf(entry), found: entry };
    }),
    audit: null,
    dialect: 'api',
    prepare: async (call, { query }, issuer: Entry) => {
      const { items, next } = await pageOf(services.cursors, call, {
        noun: `drift ${issuer.uid}`, query,
        read: ({ after, limit }) => listPins(services.database.read, { accountId: call.account.id, issuerUid: issuer.uid }, { after, limit, driftedOnly: query.all === 'false' }),
        keyOf: ({ pin }) => pin,
      });
      return { items: items.map(viewOf), next };
    },
  });

  const accept = operation({
    name: 'trusted_issuer.accept_drift',
    summary: 'Pins a name to the id it came with and was refused: whoever has that id now is who is meant',
    method: 'POST',
    path: '{account}/trusted-issuers/{identifier}/drift:accept',
    input: { params, body: z.strictObject({ pin: pinText, id: z.string().min(1).max(300).describe('`otherId`, as the list shows it') }) },
    output: z.strictObject({ claim: z.string(), name: z.string(), was: z.string() }),
    access: { shape: 'plan', plan: async (call, { params: { identifier }, body }) => acceptance(services, call, identifier, body.pin) },
    audit: 'trusted_issuer.accept_drift',
    dialect: 'api',
    prepare: async (_call, _input, issuer: Entry) => issuer,
    write: async (tx, call, { body }, issuer) => {
      const accepted = await acceptPin(tx, { accountId: call.account.id, issuerUid: issuer.uid }, body, { at: call.now, author: authorOf(call.caller) });
      if (accepted === null) throw refusal('trust.pin_unknown');
      call.note({ resource: { kind: 'trusted_issuer', uid: issuer.uid, path: entryPath(issuer) }, detail: { ...accepted, id: body.id } });
      return accepted;
    },
  });

  return [list, accept];
}

/** A name that is accepted lets somebody else in, so it takes what letting in takes (CONTRACTS §5). */
async function acceptance({ database, kinds }: DriftOperationServices, call: Call, identifier: string, pin: string) {
  const issuer = call.world.find('trusted_issuer', accountScope, identifier);
  if (issuer === undefined) throw refuseMissing(call, 'trusted_issuer.edit', identifier);
  const checks: Check[] = [
    { ask: 'permission', permission: 'trusted_issuer.edit', target: targetOf(issuer), world: 'before' },
    { ask: 'administer', kind: 'trusted_issuer' },
  ];
  const claim = await claimOfPin(database.read, { accountId: call.account.id, issuerUid: issuer.uid }, pin);
  const { preset } = issuer.facts as IssuerFacts;
  for (const mapping of claim === undefined ? [] : call.world.list('claim_mapping')) {
    const facts = mapping.facts as ClaimMappingFacts;
    if (facts.issuerUid !== issuer.uid || !trustsName(facts.spec, preset, claim!)) continue;
    checks.push(...givenByMapping(call.world, kinds, mapping, facts.allGrants()).map(({ bound, why }): Check => ({ ask: 'holds', given: bound, why })));
  }
  return { checks, before: call.world, after: call.world, found: issuer };
}

function viewOf({ firstSeen, acceptedAt, otherSeen, ...pin }: StoredPin): z.infer<typeof pinView> {
  return { ...pin, firstSeen: firstSeen.toISOString(), acceptedAt: acceptedAt?.toISOString() ?? null, otherSeen: otherSeen?.toISOString() ?? null };
}
