/** Kinds that conditions and roles mention and that later features bring, as small as decisions need them. */
import { z } from 'zod';
import { access } from '#features/access/feature.ts';
import type { MappingFacts } from '#features/access/schema.ts';
import { selectorList } from '#features/access/schema.ts';
import { people } from '#features/people/feature.ts';
import { tenancy } from '#features/tenancy/feature.ts';
import type { MappingGrant } from '#kernel/caller.ts';
import type { AnyKind, Draft, Kind } from '#kernel/kind.ts';
import { Kinds } from '#kernel/kind.ts';
import type { Manifest } from '#kernel/manifest.ts';
import { ref, scopePath } from '#kernel/marks.ts';
import { readPointer } from '#kernel/matcher.ts';
import type { Level } from '#kernel/scope.ts';

const everyLevel: readonly Level[] = ['account', 'org', 'project'];
const standard = ['view', 'create', 'edit', 'delete', 'govern'];

const nothing = z.strictObject({});

function plain(name: string, levels: readonly Level[], verbs: readonly string[]): Kind<object> {
  return { name, levels, verbs: [...standard, ...verbs], spec: nothing, version: 1 };
}

const environmentSpec = z.strictObject({ type: z.enum(['Production', 'PreProduction']).optional() });

const environment: Kind<z.infer<typeof environmentSpec>> = {
  name: 'environment',
  levels: everyLevel,
  verbs: [...standard, 'access'],
  spec: environmentSpec,
  version: 1,
  attributes: { type: (spec) => spec.type },
};

const mappingSpec = z.strictObject({
  issuer: ref('trusted_issuer'),
  when: z.array(z.strictObject({ claim: z.string(), equals: z.string() })).min(1),
  grants: z.array(
    z.strictObject({
      role: ref('role'),
      scope: scopePath,
      resourceGroup: ref('resource_group').optional(),
      resources: selectorList.optional(),
      includeChildScopes: z.boolean().optional(),
    }),
  ),
});
export type MappingSpec = z.infer<typeof mappingSpec>;

const claimMapping: Kind<MappingSpec> = {
  name: 'claim_mapping',
  levels: everyLevel,
  verbs: standard,
  spec: mappingSpec,
  version: 1,
  administers: true,
  facts: mappingFacts,
};

function mappingFacts({ spec, refs }: Draft<MappingSpec>): MappingFacts {
  const grants = spec.grants.map((grant, i): MappingGrant => ({
    roleUid: refs(`/grants/${i}/role`) ?? 'dangling',
    scope: grant.scope,
    resourceGroupUid: grant.resourceGroup === undefined ? undefined : (refs(`/grants/${i}/resourceGroup`) ?? 'dangling'),
    resources: grant.resources,
    includeChildScopes: grant.includeChildScopes ?? false,
  }));
  return {
    issuerUid: refs('/issuer') ?? 'dangling',
    mayAdminister: false,
    grantsFor: (claims) => (spec.when.every(({ claim, equals }) => readPointer(claims, claim) === equals) ? grants : []),
    allGrants: () => grants,
  };
}

const standIns: readonly AnyKind[] = [
  plain('pipeline', ['project'], ['execute']),
  environment,
  plain('connector', everyLevel, ['access']),
  plain('secret', everyLevel, ['access']),
  plain('trusted_issuer', ['account'], []),
  claimMapping,
];

const features: readonly Manifest[] = [tenancy, access(() => testKinds), people(() => testKinds)];

/** The kinds decision tables are written in. */
export const testKinds: Kinds = new Kinds(
  features.flatMap((feature) => feature.nouns ?? []),
  [...features.flatMap((feature) => feature.kinds ?? []), ...standIns],
);
