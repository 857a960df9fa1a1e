/** What a stranger wrote, made fit for a row: PostgreSQL's `jsonb` cannot hold U+0000, and an audit row is short. */

const maxShown = 200;
const maxItems = 50;

/** False when some text of it, a name included, holds U+0000. */
export function isStorable(value: unknown): boolean {
  if (typeof value === 'string') return !value.includes('\0');
  if (typeof value !== 'object' || value === null) return true;
  return Object.entries(value).every(([name, item]) => isStorable(name) && isStorable(item));
}

/** The value cut to what a reader needs to recognise it. */
export function brief(value: unknown): unknown {
  if (typeof value === 'string') {
    const text = value.replaceAll('\0', '\ufffd');
    return text.length <= maxShown ? text : `${text.slice(0, maxShown).toWellFormed()}…`;
  }
  if (typeof value !== 'object' || value === null) return value ?? null;
  if (Array.isArray(value)) return value.slice(0, maxItems).map(brief);
  return Object.fromEntries(Object.entries(value).slice(0, maxItems).map(([name, item]) => [String(brief(name)), brief(item)]));
}
