/** The command that tells which permissions nobody used. */
import type { CommandRecord } from './command-line.ts';
import { UsageError } from './command-line.ts';
import { remote } from './remote-command.ts';

interface Unused {
  readonly path: string;
  readonly principal?: string;
  readonly role: string;
  readonly scope: string;
  readonly permissions: readonly { readonly permission: string; readonly lastUsed: string | null }[];
  readonly all: boolean;
  readonly createdAt: string;
  readonly youngerThan: boolean;
}

interface Page {
  readonly items: readonly Unused[];
  readonly next: string | null;
  readonly days: number;
  readonly observedSince: string;
  readonly observedDays: number;
}

export const unusedCommand: CommandRecord = remote({
  name: 'unused',
  summary: 'which permissions that role bindings and claim mappings give nobody has used for some days',
  args: [['[scope]', 'bindings and mappings of it and of what is below; without it those of the account']],
  options: [{ flags: '--days <days>', help: 'for how long nobody used them (90)' }],
  data: true,
  run: async (server, { args: [scope], options, terminal, json }) => {
    const days = daysIn(options['days']);
    let shown = 0;
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const body = { days, limit: 200, ...(scope === undefined ? {} : { scope }), ...(cursor === undefined ? {} : { cursor }) };
      const page = (await server.call({ method: 'POST', path: `${server.api}/access:unused`, body })) as Page;
      const { observedSince, observedDays } = page;
      if (!json && cursor === undefined) for (const line of headLines(page)) terminal.print(line);
      for (const item of page.items) {
        const lines = json ? [JSON.stringify({ ...item, observedSince, observedDays })] : itemLines(item);
        for (const line of lines) terminal.print(line);
      }
      shown += page.items.length;
      cursor = page.next;
    }
    if (shown === 0 && !json) terminal.print('  nothing: all that is given was used');
  },
});

function daysIn(text: unknown): number {
  const days = Number(text ?? 90);
  if (!Number.isInteger(days) || days < 1 || days > 365) throw new UsageError(`\`${String(text)}\` is no number of days from 1 to 365`);
  return days;
}

/** What was not seen for longer than it was looked at is nobody's to say. */
function headLines({ days, observedSince, observedDays }: Page): string[] {
  if (observedDays >= days) return [`not used for ${count(days)}:`];
  return [`not used since ${observedSince}, when recording began: that is ${count(observedDays)}, and of ${days} nothing can be said yet:`];
}

function itemLines({ path, principal, role, scope, permissions, all, createdAt, youngerThan }: Unused): string[] {
  const who = principal === undefined ? 'claim mapping' : `role binding of ${principal}`;
  const made = youngerThan ? `, made on ${createdAt.slice(0, 10)}` : '';
  const head = `  ${path}: ${who}, role ${role} in ${scope}${made}`;
  const never = permissions.every(({ lastUsed }) => lastUsed === null);
  if (all && never) return [`${head}: nothing of it`];
  return [`${head}: ${all ? 'nothing of it' : `${permissions.length} of its permissions`}`, ...permissions.map(({ permission, lastUsed }) => `    ${permission}${lastUsed === null ? '' : `, last on ${lastUsed}`}`)];
}

function count(days: number): string {
  return days === 1 ? '1 day' : `${days} days`;
}
