import { generic } from './presets/generic.ts';
import { hcpTerraform } from './presets/hcp-terraform.ts';
import type { Preset } from './presets/preset.ts';

export type { Preset } from './presets/preset.ts';

/** By the name a TrustedIssuer gives under `preset`. A new issuer is a file beside the others and a line here. */
export const presets = { generic, hcp_terraform: hcpTerraform } as const satisfies Record<string, Preset>;

export type PresetName = keyof typeof presets;
export const presetNames = Object.keys(presets) as PresetName[];
