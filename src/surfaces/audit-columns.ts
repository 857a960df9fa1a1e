/** When, how, what, who, at what; and of a refusal where it was, and what was missing. */
export function auditColumns(item: Readonly<Record<string, unknown>>): string[] {
  const who = item['actor'] as { type: string; path: string | null; by?: string } | null;
  const { path } = (item['resource'] ?? {}) as { path?: string | null };
  const { code, evidence } = (item['detail'] ?? {}) as { code?: string; evidence?: { permission?: string } };
  const isRefused = item['outcome'] === 'refused';
  return [
    String(item['at']), String(item['outcome']), String(item['action']), who === null ? '-' : `${who.type}:${who.path ?? '(erased)'}${who.by === undefined ? '' : ` by ${who.by}`}`,
    path ?? (isRefused ? String(item['scope']) : ''),
    isRefused ? [code, evidence?.permission].filter(Boolean).join(' ') : '',
  ];
}
