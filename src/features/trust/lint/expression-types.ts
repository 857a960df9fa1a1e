import { anything, faultText } from '#kernel/cel.ts';
import type { StatedType } from '#kernel/cel.ts';
import { claimExpressionOf } from '#features/trust/claim-expression.ts';
import { knownClaim } from '#features/trust/presets.ts';
import type { Preset } from '#features/trust/presets.ts';
import { pointerOf } from '#kernel/matcher.ts';
import type { MappingRule } from './finding.ts';
import { finding } from './finding.ts';

/** The expression against what the preset knows of claims: their types, and whether it could be true of any. */
export const expressionTypes: MappingRule = ({ spec, issuer, expression }) => {
  if (spec.condition === undefined) return [];
  const { cel } = expression ?? claimExpressionOf(spec.condition);
  if (cel === null) return [];
  const faults = cel.typeFaults((path) => typeAt(issuer.preset, path));
  if (faults.length > 0) return faults.map((fault) => finding('lint.expression_type', '/condition', `${faultText(fault)}; that is what ${issuer.preset.title} writes`));
  if (cel.couldHold({ claims: anything, token: { issuer: anything, subject: anything, audience: anything } })) return [];
  return [finding('lint.never_matches', '/condition', 'the expression is true of no token; mend it or take it away')];
};

function typeAt(preset: Preset, [variable, ...names]: readonly string[]): StatedType | undefined {
  if (variable === 'token') return names[0] === 'audience' ? 'list' : 'text';
  if (names.length === 0) return undefined;
  const type = knownClaim(preset, pointerOf(names))?.type;
  return type === 'any' ? undefined : type;
}
