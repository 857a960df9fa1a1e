/** JSON for people and for diffs: what fits on a line stays on one. Ends with a line feed. */
export function jsonText(value: unknown, width = 120): string {
  return `${print(value, '', width)}\n`;
}

function print(value: unknown, indent: string, width: number): string {
  const short = inline(value);
  if (typeof value !== 'object' || value === null || indent.length + short.length <= width) return short;
  const deeper = `${indent}  `;
  const parts = Array.isArray(value)
    ? value.map((item) => `${deeper}${print(item, deeper, width)}`)
    : entriesOf(value).map(([name, item]) => `${deeper}${JSON.stringify(name)}: ${print(item, deeper, width)}`);
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  return `${open}\n${parts.join(',\n')}\n${indent}${close}`;
}

function inline(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(inline).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = entriesOf(value);
  return entries.length === 0 ? '{}' : `{ ${entries.map(([name, item]) => `${JSON.stringify(name)}: ${inline(item)}`).join(', ')} }`;
}

/** As JSON has it: what is undefined is not there. */
function entriesOf(value: object): [string, unknown][] {
  return Object.entries(value).filter(([, item]) => item !== undefined);
}
