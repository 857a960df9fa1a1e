import { immutableClaimsOf, knownClaim } from '#features/trust/presets.ts';
import type { ClaimMappingSpec } from '#features/trust/schema.ts';
import { isStated, placed, readByExpression } from './compared.ts';
import type { Finding, MappingRule } from './finding.ts';
import { finding } from './finding.ts';

/** A name somebody else may have tomorrow, where the token has an id nobody else gets. */
export const mutableNames: MappingRule = ({ spec, issuer }) => {
  const told = new Set<string>(isSubOnly(spec) ? ['/sub'] : []);
  const warn = (claim: string, pointer: string): Finding[] => {
    const id = knownClaim(issuer.preset, claim)?.names;
    if (id === undefined || told.has(claim) || isStated(spec, id)) return [];
    told.add(claim);
    return [finding('lint.mutable_name', pointer, `\`${claim}\` is a name, which is given out again when it is free; compare \`${id}\` with the id it has now`)];
  };
  return [
    ...placed(spec).flatMap(({ condition, pointer }) => (condition.exists === true || condition.absent === true ? [] : warn(condition.claim, pointer))),
    ...[...readByExpression(spec)].flatMap((claim) => warn(claim, '/condition')),
    ...spec.grants.flatMap(({ scope }, i) => (typeof scope === 'object' ? warn(scope.from, `/grants/${i}/scope/from`) : [])),
  ];
};

/** All hangs on a text whose form the issuer changes now and then, and which is often made of names. */
export const subOnly: MappingRule = ({ spec, issuer }) => {
  const { preset } = issuer;
  if (immutableClaimsOf(preset).includes('/sub') || !isSubOnly(spec)) return [];
  const known = knownClaim(preset, '/sub');
  const ids = (preset.subjectClaims ?? []).filter((claim) => claim !== '/sub');
  if (known === undefined || ids.length === 0) return [];
  return [finding('lint.sub_only', '/when', `\`sub\` changes its form, and what it is made of is given out again; compare ${ids.map((claim) => `\`${claim}\``).join(', ')}`)];
};

function isSubOnly({ when }: ClaimMappingSpec): boolean {
  return when.every(({ claim }) => claim === '/sub');
}
