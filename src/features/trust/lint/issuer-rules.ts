/** Rules of the linter about an issuer's document alone. */
import type { TrustedIssuerSpec } from '#features/trust/schema.ts';
import type { Preset, PresetName } from '#features/trust/presets.ts';
import { addressIn, presetAt, presets } from '#features/trust/presets.ts';
import type { Finding } from './finding.ts';
import { finding } from './finding.ts';

export function lintIssuer(spec: TrustedIssuerSpec): readonly Finding[] {
  const name: PresetName = spec.preset ?? 'generic';
  const preset: Preset = presets[name];
  return [...sharedPreset(spec, name), ...strangeAddress(spec, preset), ...severalAudiences(spec, preset)];
}

/** Where strangers get tokens too, only its preset knows the claims that tell them apart, whatever the document calls it. */
function sharedPreset({ issuer }: TrustedIssuerSpec, name: PresetName): Finding[] {
  const known = presetAt(issuer);
  if (known === null || !known.shared || known.name === name) return [];
  return [finding('lint.shared_issuer_preset', '/preset', `everybody gets tokens of \`${issuer}\`; say \`preset: ${known.name}\`, which knows the claims that tell them apart`)];
}

function strangeAddress({ issuer }: TrustedIssuerSpec, preset: Preset): Finding[] {
  if (preset.selfHosted || preset.issuers.length === 0 || addressIn(preset, issuer) !== null) return [];
  return [finding('lint.issuer_address', '/issuer', `tokens of ${preset.title} come from ${preset.issuers.map(({ url }) => `\`${url}\``).join(' or ')}; is it another preset, or a copy for tests?`)];
}

function severalAudiences({ allowOtherAudiences }: TrustedIssuerSpec, preset: Preset): Finding[] {
  if (preset.severalAudiences !== true || allowOtherAudiences !== undefined) return [];
  return [finding('lint.several_audiences', '/allowOtherAudiences', `tokens of ${preset.title} may name several audiences, and are refused then; say \`allowOtherAudiences\`, \`true\` or \`false\``)];
}
