import { tenantClaimsOf } from '#features/trust/presets.ts';
import { isStated } from './compared.ts';
import type { MappingRule } from './finding.ts';
import { finding } from './finding.ts';

/**
 * A good signature of a shared issuer says that the run is somebody's: without the tenant's id, anybody's. A name of the
 * tenant does not do, since names are given out again.
 */
export const sharedIssuer: MappingRule = ({ spec, issuer, shared }) => {
  if (!shared || tenantClaimsOf(issuer.preset).some((claim) => isStated(spec, claim))) return [];
  const claims = tenantClaimsOf(issuer.preset);
  const which = claims.length === 0 ? 'and its preset knows no claim that tells them apart' : `so say whom you mean: compare ${claims.map((claim) => `\`${claim}\``).join(' or ')} by \`equals\` or \`oneOf\``;
  return [finding('lint.shared_issuer_unpinned', '/when', `everybody gets tokens of \`${issuer.rules.issuer}\`, ${which}`)];
};
