/** Durations as the pipeline YAML writes them: `30s`, `10m`, `1h 30m`, `1d`, `2w`. */
const unitMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
const minMs = 1000;
const maxMs = 30 * 86_400_000;

/** What to say about a text that is none. */
export const durationFault = 'must be a duration between `1s` and `30d`, such as `30s`, `10m` or `1h 30m`';

/** A step without `timeout` gets this long, as documented. */
export const defaultStepTimeoutMs = 10 * 60_000;

/** Milliseconds, or null when it is no duration or not between one second and thirty days. */
export function timeoutMs(text: string): number | null {
  if (!/^(?:[0-9]{1,6}[smhdw])(?: ?[0-9]{1,6}[smhdw]){0,4}$/.test(text)) return null;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/([0-9]+)([smhdw])/g)) total += Number(amount) * unitMs[unit!]!;
  return total >= minMs && total <= maxMs ? total : null;
}
