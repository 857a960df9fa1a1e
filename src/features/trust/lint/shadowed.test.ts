import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { access } from '#features/access/feature.ts';
import { people } from '#features/people/feature.ts';
import type { Manifest as Document } from '#features/resources/schema.ts';
import { tenancy } from '#features/tenancy/feature.ts';
import { trust } from '#features/trust/feature.ts';
import type { AnyKind } from '#kernel/kind.ts';
import { Kinds } from '#kernel/kind.ts';
import type { Manifest } from '#kernel/manifest.ts';
import { buildWorld, uidOf } from '#test/cases/world.ts';
import { z } from 'zod';
import type { Finding } from './finding.ts';

const pipeline: AnyKind = { name: 'pipeline', levels: ['project'], verbs: ['view', 'execute'], spec: z.strictObject({}), version: 1 };
const features: Manifest[] = [tenancy, access(() => kinds), people(() => kinds), trust({ kinds: () => kinds, publicUrl: () => null })];
const kinds: Kinds = new Kinds(features.flatMap((feature) => feature.nouns ?? []), [...features.flatMap((feature) => feature.kinds ?? []), pipeline]);

const when = [{ claim: '/client_id', equals: 'ci' }];
const grant = { role: 'account.runs', scope: 'payments/checkout', resources: [{ type: 'pipeline' }] };
const mapping = (identifier: string, spec: object, scope = 'payments'): Document => ({
  kind: 'ClaimMapping', ...(scope === '/' ? {} : { scope }), identifier,
  spec: { issuer: scope === '/' ? 'corporate' : 'account.corporate', when, grants: [scope === '/' ? { ...grant, role: 'runs' } : grant], ...spec },
});

/** Paths of mappings that shadow the one of payments, when both are there. */
function shadows(other: Document, own: Document): string[] {
  const world: Document[] = [
    { kind: 'Organization', identifier: 'payments', spec: {} },
    { kind: 'Project', scope: 'payments', identifier: 'checkout', spec: {} },
    { kind: 'Role', identifier: 'runs', spec: { level: 'org', permissions: ['pipeline.execute'] } },
    { kind: 'TrustedIssuer', identifier: 'corporate', spec: { issuer: 'https://as.example', audiences: ['a'], keys: { discovery: true }, algorithms: ['RS256'] } },
    other, own,
  ];
  const built = buildWorld({ world, sessions: {}, later: { apply: [], delete: [] }, now: '2026-06-01T12:00:00Z' }, kinds);
  const entry = built.world.get(uidOf('claim_mapping', 'payments/own'))!;
  const draft = { scope: entry.scope, identifier: 'own', tags: {}, spec: own.spec, isNew: true, secretsGiven: [], refs: (pointer: string) => (pointer === '/issuer' ? uidOf('trusted_issuer', 'corporate') : pointer.endsWith('/role') ? uidOf('role', 'runs') : undefined) };
  const found = kinds.kinds.get('claim_mapping')!.check!(draft as never, built.world) as Finding[];
  return found.filter(({ code }) => code === 'lint.shadowed').map(({ mentions }) => mentions!);
}

describe('a mapping is shadowed', () => {
  const other = uidOf('claim_mapping', 'payments/other');
  const narrower = [...when, { claim: '/team', equals: 'a' }];
  const rows: [says: string, other: Document, own: object, shadowed: boolean][] = [
    ['by the same conditions and grants', mapping('other', {}), {}, true],
    ['by fewer conditions', mapping('other', {}), { when: narrower }, true],
    ['by a list that has its value', mapping('other', { when: [{ claim: '/client_id', oneOf: ['ci', 'cd'] }] }), {}, true],
    ['by the mere existence of what it compares', mapping('other', { when: [{ claim: '/client_id', exists: true }] }), {}, true],
    ['by one that grants more', mapping('other', { grants: [grant, { ...grant, includeChildScopes: true }] }), {}, true],
    ['by one in a project below', mapping('below', { when }, 'payments/checkout'), {}, true],
    ['not by more conditions', mapping('other', { when: narrower }), {}, false],
    ['not by another value', mapping('other', { when: [{ claim: '/client_id', equals: 'cd' }] }), {}, false],
    ['not by existence, when it asks for absence', mapping('other', { when: [{ claim: '/team', exists: true }] }), { when: [...when, { claim: '/team', absent: true }] }, false],
    ['not by an expression it does not have', mapping('other', { condition: 'claims.a == "b"' }), {}, false],
    ['not by one that grants elsewhere', mapping('other', { grants: [{ ...grant, scope: 'payments' }] }), {}, false],
    ['not by one that ends sooner', mapping('other', { session: { ttl: '1m' } }), {}, false],
    ['not by one that takes a token once', mapping('other', { singleUse: true }), {}, false],
    ['not by one that wants a proof', mapping('other', { proofOfPossession: true }), {}, false],
    ['not by one that may not administer', mapping('other', {}), { mayAdminister: true }, false],
    ['not, as far as one is told, by one of the account above', mapping('above', {}, '/'), {}, false],
    ['not, when it grants nothing', mapping('other', {}), { grants: [] }, false],
  ];
  for (const [says, another, own, shadowed] of rows) {
    test(says, () => assert.deepEqual(shadows(another, mapping('own', own)), shadowed ? [another.identifier === 'below' ? uidOf('claim_mapping', 'payments/checkout/below') : other] : []));
  }
});
