import { nearest } from '#kernel/identifier.ts';
import { isKnown } from '#features/trust/account-for-claims.ts';
import { placed, readByExpression } from './compared.ts';
import type { Finding, MappingRule } from './finding.ts';
import { finding } from './finding.ts';

/** Most claims nobody has heard of are misspelt; the rest are what an administrator added, who can list them. */
export const unknownClaims: MappingRule = ({ spec, issuer }) => {
  const { preset, immutableClaims } = issuer;
  const known = preset.claims.map(({ claim }) => claim);
  const warn = (claim: string, pointer: string): Finding[] => {
    if (isKnown(preset, claim, immutableClaims)) return [];
    const near = nearest(claim, known);
    return [finding('lint.unknown_claim', pointer, `the tokens of ${preset.title} are not known to have \`${claim}\`; without it nobody gets in`, near)];
  };
  return [
    ...placed(spec).flatMap(({ condition, pointer }) => warn(condition.claim, `${pointer}/claim`)),
    ...[...readByExpression(spec)].flatMap((claim) => warn(claim, '/condition')),
  ];
};
