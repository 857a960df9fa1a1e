/** All rules of the linter about a claim mapping, in the order their findings are told. Pure. */
import type { ClaimExpression } from '#features/trust/claim-expression.ts';
import { isShared } from '#features/trust/presets.ts';
import type { ClaimMappingSpec, IssuerFacts } from '#features/trust/schema.ts';
import type { Draft } from '#kernel/kind.ts';
import type { World } from '#kernel/world.ts';
import { contexts } from './contexts.ts';
import { everybody } from './everybody.ts';
import { expressionTypes } from './expression-types.ts';
import type { Finding, MappingLint, MappingRule } from './finding.ts';
import { mutableNames, subOnly } from './names.ts';
import { neverMatches } from './never-matches.ts';
import { shadowed } from './shadowed.ts';
import { sharedIssuer } from './shared-issuer.ts';
import { tenantGlob } from './tenant-glob.ts';
import { unknownClaims } from './unknown-claims.ts';

/** What refuses does so on account of the issuer alone, so a change of the issuer asks it of its mappings again. */
const refusing: readonly MappingRule[] = [sharedIssuer, tenantGlob, neverMatches, expressionTypes];
const warning: readonly MappingRule[] = [everybody, mutableNames, subOnly, shadowed, contexts, unknownClaims];

const maxFindings = 50;

export interface LintedMapping {
  readonly draft: Pick<Draft<ClaimMappingSpec>, 'scope' | 'identifier' | 'spec' | 'refs'>;
  readonly issuer: IssuerFacts;
  readonly issuerUid: string;
  readonly after: World;
  /** Compiled, where it is already: an account may have more of them than are remembered. */
  readonly expression?: ClaimExpression | null;
}

export function lintMapping(mapping: LintedMapping): readonly Finding[] {
  return found([...refusing, ...warning], mapping);
}

/** Only what refuses a save. */
export function refusalsOf(mapping: LintedMapping): readonly Finding[] {
  return found(refusing, mapping).filter(({ severity }) => severity === undefined);
}

function found(rules: readonly MappingRule[], mapping: LintedMapping): Finding[] {
  const { spec } = mapping.draft;
  const seen: MappingLint = { ...mapping, spec, shared: isShared(mapping.issuer.preset, mapping.issuer.rules.issuer) };
  return rules.flatMap((rule) => rule(seen)).slice(0, maxFindings);
}
