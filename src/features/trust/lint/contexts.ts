import type { ContextMark } from '#features/trust/presets.ts';
import type { ClaimMappingSpec } from '#features/trust/schema.ts';
import { isCompared, valuesLetThrough } from './compared.ts';
import type { MappingRule } from './finding.ts';
import { finding } from './finding.ts';

/** Runs that somebody without a right to the source can cause: of forks, and of changes that are only proposed. */
export const contexts: MappingRule = ({ spec, issuer }) =>
  issuer.preset.contexts
    .filter((mark) => letsIn(mark, spec))
    .map(({ context, remedy }) => finding(context === 'fork' ? 'lint.fork' : 'lint.pull_request', '/when', `runs of ${context === 'fork' ? 'forks' : 'pull requests'} get in: ${remedy}`));

/** Whatever an expression says of the claim, somebody has thought of it. */
function letsIn({ claim, values, orCompared = [] }: ContextMark, spec: ClaimMappingSpec): boolean {
  if (orCompared.some((other) => isCompared(spec, other))) return false;
  const left = valuesLetThrough(spec, claim);
  if (left !== null) return values !== undefined && left.some((value) => (values as readonly unknown[]).includes(value));
  return !isCompared(spec, claim);
}
