/** From how a step ended to what the server is told: masked words, outputs with the names of the secrets in them. */
import { containsSecret, maskWhole } from '#features/masking/masker.ts';
import type { MaskSet } from '#features/masking/mask-set.ts';
import { protocolLimits } from '#features/runners/schema.ts';
import type { EndedResult, LogTotals, StepOutput } from '#features/runners/schema.ts';
import type { StepExit } from './sandbox.ts';

/** Stays below the bound of a request body whatever JSON has to escape. */
const maxOutputJsonBytes = 768 * 1024;

const sayings: Readonly<Record<NonNullable<StepExit['reason']>, { readonly exit: EndedResult['exit']; readonly message: string }>> = {
  timeout: { exit: 'timeout', message: 'the step took longer than its timeout' },
  cancelled: { exit: 'cancelled', message: 'the step was cancelled' },
  output_limit: { exit: 'error', message: 'the step printed more than this runner allows' },
  outputs_too_large: { exit: 'error', message: `the output variables have more than ${protocolLimits.outputBytes} bytes together` },
};

export function resultOf(exit: StepExit, logs: LogTotals, set: MaskSet): EndedResult {
  const code = exit.code === null ? null : Math.min(exit.code, 255);
  const common = { code, signal: exit.signal, logs };
  if (exit.reason !== undefined) return { ...common, ...sayings[exit.reason], outputs: [] };
  const outputs = outputsOf(exit.outputs, set);
  if (outputs === null) return { ...common, ...sayings.outputs_too_large, outputs: [] };
  return { ...common, exit: exit.code === 0 ? 'success' : 'failure', message: null, outputs };
}

/** For a step that could not be run: what went wrong may quote what the step was given. */
export function errorResult(message: string, logs: LogTotals, set: MaskSet | null): EndedResult {
  return { exit: 'error', code: null, signal: null, message: messageOf(message, set), outputs: [], logs };
}

/** Masked, and short enough. Masking comes first: what is cut could not be found any more. */
export function messageOf(message: string, set: MaskSet | null): string {
  const masked = set === null ? message : maskWhole(set, message);
  return masked.slice(0, protocolLimits.messageCharacters).toWellFormed();
}

function outputsOf(captured: Readonly<Record<string, string>>, set: MaskSet): StepOutput[] | null {
  const outputs = Object.entries(captured).map(([name, value]): StepOutput => ({ name, value, secrets: containsSecret(set, value) }));
  return Buffer.byteLength(JSON.stringify(outputs)) > maxOutputJsonBytes ? null : outputs;
}
