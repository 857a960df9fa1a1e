import { knownClaim, tenantClaimsOf } from '#features/trust/presets.ts';
import { isStated, placed } from './compared.ts';
import type { MappingRule } from './finding.ts';
import { finding } from './finding.ts';

/**
 * A pattern over ids means ids that only look alike. On a shared issuer without the tenant's id, a pattern over names or
 * `sub` fits whatever a stranger calls his own.
 */
export const tenantGlob: MappingRule = ({ spec, issuer, shared }) => {
  const tenants = tenantClaimsOf(issuer.preset);
  const isOpen = shared && !tenants.some((claim) => isStated(spec, claim));
  return placed(spec).flatMap(({ condition: { claim, glob }, pointer }) => {
    if (glob === undefined || !/[*?]/.test(glob)) return [];
    if (tenants.includes(claim)) return [finding('lint.glob_across_tenants', `${pointer}/glob`, `\`${claim}\` is an id, and ids that look alike are strangers; list them with \`oneOf\``)];
    const known = knownClaim(issuer.preset, claim);
    const isName = claim === '/sub' || known?.names !== undefined || known?.immutable === true;
    if (!isOpen || !isName) return [];
    return [finding('lint.glob_across_tenants', `${pointer}/glob`, `strangers can have a \`${claim}\` that fits; compare ${tenants.map((one) => `\`${one}\``).join(' or ')} too`)];
  });
};
