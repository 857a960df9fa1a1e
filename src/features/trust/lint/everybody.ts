import type { ConditionSpec } from '#features/trust/claim-condition.ts';
import { knownClaim } from '#features/trust/presets.ts';
import type { Preset } from '#features/trust/presets.ts';
import type { MappingRule } from './finding.ts';
import { finding } from './finding.ts';

const inEveryToken: ReadonlySet<string> = new Set(['/iss', '/aud', '/exp']);

/**
 * That something is there which every token has says nothing, and that something is not there says nearly nothing. An empty
 * `when` is refused by the schema (`lint.no_condition`); this may be meant where an issuer vouches for one's own alone.
 */
export const everybody: MappingRule = ({ spec, issuer }) => {
  if (spec.condition !== undefined || spec.when.length === 0 || !spec.when.every((condition) => saysNothing(condition, issuer.preset))) return [];
  return [finding('lint.everybody', '/when', 'every token of the issuer meets these conditions; compare a claim with the value it has for those you mean')];
};

function saysNothing({ claim, exists, glob, absent }: ConditionSpec, preset: Preset): boolean {
  if (absent === true) return true;
  if (exists !== true && (glob === undefined || !/^\*+$/.test(glob))) return false;
  const presence = knownClaim(preset, claim)?.presence;
  return inEveryToken.has(claim) || presence === 'required' || presence === 'always';
}
