/** Commands about trusted issuers: how they stand, what their tokens claim, and what a draft would change. */
import type { CommandRecord, Terminal } from './command-line.ts';
import { UsageError, table } from './command-line.ts';
import type { ChangeParts } from './change-commands.ts';
import { documentsOf, fileOption, showFaults } from './change-commands.ts';
import { remote } from './remote-command.ts';

interface Status {
  readonly issuer: string;
  readonly shared: boolean;
  readonly keys: { readonly from: string; readonly state: string; readonly fetchedAt: string | null; readonly because: string | null; readonly believedUntil: string | null; readonly keys: readonly { readonly kid: string | null; readonly algorithms: readonly string[] }[] };
  readonly refusals: { readonly items: readonly { readonly code: string; readonly check: string | null; readonly verified: boolean; readonly count: number }[] };
  readonly claims: { readonly tokens: number; readonly accepted: number; readonly unknown: readonly Counted[]; readonly missing: readonly Counted[] };
}

interface Counted {
  readonly claim: string;
  readonly tokens: number;
}

interface Caught {
  readonly until: string | null;
  readonly items: readonly { readonly at: string; readonly outcome: string; readonly subject: string | null; readonly because: string | null; readonly mappings: readonly string[]; readonly correlationId: string; readonly claims: unknown }[];
}

interface Grant {
  readonly role: string;
  readonly scope: string;
  readonly mapping: string;
}

interface Concerned {
  readonly workload: string | null;
  readonly verdict: string;
  readonly gains: readonly Grant[];
  readonly loses: readonly Grant[];
  readonly because: string | null;
  readonly exchanges: number;
}

interface ShadowPage {
  readonly items: readonly Concerned[];
  readonly looked: number;
  readonly unchanged: number;
  readonly notes: readonly string[];
  readonly next: string | null;
}

const name: [string, string] = ['<name>', 'identifier of a TrustedIssuer'];
const path = (api: string, issuer: string, what: string): string => `${api}/trusted-issuers/${encodeURIComponent(issuer)}/${what}`;

export function issuerCommands(parts: ChangeParts): CommandRecord[] {
  return [status, startCatch, stopCatch, caught, shadow(parts)];
}

const status = remote({
  name: 'issuer status',
  summary: 'how it stands with an issuer: its keys, refusals of the last hour by check, claims nobody knows',
  args: [name],
  data: true,
  run: async (server, { args: [issuer], terminal, json }) => {
    const found = (await server.call({ method: 'GET', path: path(server.api, issuer!, 'status') })) as Status;
    if (json) terminal.print(JSON.stringify(found));
    else for (const line of statusLines(found)) terminal.print(line);
  },
});

function statusLines({ keys, refusals, claims, shared }: Status): string[] {
  const known = keys.keys.map(({ kid, algorithms }) => `${kid ?? '(no kid)'} ${algorithms.join('/')}`).join(', ');
  const counted = (what: string, items: readonly Counted[]): string[] => items.map(({ claim, tokens }) => `${what}  ${claim}  ${tokens}`);
  return [
    `keys     ${keys.state}, by ${keys.from}${keys.fetchedAt === null ? '' : `, had ${keys.fetchedAt}, believed until ${keys.believedUntil}`}${keys.because === null ? '' : `; last asked in vain: ${keys.because}`}`,
    `         ${known === '' ? 'none' : known}`,
    ...(shared ? ['shared   others get tokens of this issuer too'] : []),
    ...table(refusals.items.map(({ code, check, verified, count }) => ['refused ', String(count), `${code}${check === null ? '' : `/${check}`}`, verified ? 'proven' : 'not proven'])).map((line) => line.trimEnd()),
    `tokens   ${claims.tokens} of the last day looked at, ${claims.accepted} let in`,
    ...counted('unknown', claims.unknown), ...counted('missing', claims.missing),
  ];
}

const startCatch = remote({
  name: 'issuer catch',
  summary: 'keep the claims of the last twenty proven tokens of an issuer for a while, to write mappings by; never the tokens',
  args: [name],
  options: [
    { flags: '--for <duration>', help: 'at most 1h; absent = 15m' },
    { flags: '--tenant <claim>', help: 'catch only what is yours, e.g. `/terraform_organization_id=org-abc`; needed where others get tokens of the issuer too' },
  ],
  data: true,
  run: async (server, { args: [issuer], options, terminal, json }) => {
    const tenant = options['tenant'] === undefined ? {} : { tenant: tenantOf(String(options['tenant'])) };
    const body = { ...(options['for'] === undefined ? {} : { for: options['for'] }), ...tenant };
    const answer = (await server.call({ method: 'PUT', path: path(server.api, issuer!, 'catch'), body })) as { until: string };
    terminal.print(json ? JSON.stringify(answer) : `catching until ${answer.until}; see them by \`sallyport issuer caught ${issuer!}\``);
  },
});

function tenantOf(text: string): { claim: string; value: string } {
  const equals = text.indexOf('=');
  if (!text.startsWith('/') || equals === -1) throw new UsageError(`\`${text}\` is no claim with its value such as \`/terraform_organization_id=org-abc\``);
  return { claim: text.slice(0, equals), value: text.slice(equals + 1) };
}

const stopCatch = remote({
  name: 'issuer catch-stop',
  summary: 'end catching, and forget what was caught',
  args: [name],
  run: async (server, { args: [issuer], terminal }) => {
    await server.call({ method: 'DELETE', path: path(server.api, issuer!, 'catch') });
    terminal.print(`nothing of ${issuer!} is caught any more`);
  },
});

const caught = remote({
  name: 'issuer caught',
  summary: 'the claims that were caught, the newest first',
  args: [name],
  data: true,
  run: async (server, { args: [issuer], terminal, json }) => {
    const found = (await server.call({ method: 'GET', path: path(server.api, issuer!, 'catch') })) as Caught;
    if (json) return terminal.print(JSON.stringify(found));
    terminal.print(found.until === null ? 'not catching' : `catching until ${found.until}`);
    for (const { at, outcome, subject, because, mappings, correlationId, claims } of found.items) {
      terminal.print(`${at}  ${outcome}  ${subject ?? '(no subject)'}`);
      terminal.print(`  ${because === null ? `matched ${mappings.join(' ')}` : `${because}; nearest: ${mappings.join(' ') || 'none'}`}`);
      terminal.print(`  correlation id ${correlationId}`);
      terminal.print(`  ${JSON.stringify(claims)}`);
    }
    return undefined;
  },
});

function shadow(parts: ChangeParts): CommandRecord {
  return remote({
    name: 'shadow',
    summary: 'which workloads would have gained or lost what under drafts of mappings and issuers, by the exchanges of past days; applies nothing',
    options: [fileOption, { flags: '--days <n>', help: 'how far to look back; absent = 7' }],
    data: true,
    run: async (server, { options, terminal, json }) => {
      const { files, body } = await documentsOf(parts, options);
      const days = options['days'] === undefined ? {} : { days: Number(options['days']) };
      const pages: ShadowPage[] = [];
      try {
        for (let cursor: string | null | undefined; cursor !== null; cursor = pages.at(-1)!.next) {
          pages.push((await server.call({ method: 'POST', path: `${server.api}/trust:shadow`, body: { ...body, ...days, ...(cursor === undefined ? {} : { cursor }) } })) as ShadowPage);
          terminal.progress(`${pages.reduce((sum, { looked }) => sum + looked, 0)} exchanges looked at`);
        }
      } catch (error) {
        return showFaults(error, files, terminal);
      }
      printShadow(terminal, together(pages), json);
      return 0;
    },
  });
}

/** Pages tell the same workload anew. */
function together(pages: readonly ShadowPage[]): ShadowPage {
  const groups = Map.groupBy(pages.flatMap(({ items }) => items), ({ workload, verdict, gains, loses, because }) => JSON.stringify([workload, verdict, gains, loses, because]));
  const sum = (pick: (page: ShadowPage) => number): number => pages.reduce((total, page) => total + pick(page), 0);
  return {
    items: [...groups.values()].map((group) => ({ ...group[0]!, exchanges: group.reduce((total, { exchanges }) => total + exchanges, 0) })),
    looked: sum(({ looked }) => looked), unchanged: sum(({ unchanged }) => unchanged), notes: pages[0]?.notes ?? [], next: null,
  };
}

function printShadow(terminal: Terminal, answer: ShadowPage, json: boolean): void {
  if (json) return terminal.print(JSON.stringify(answer));
  for (const { workload, verdict, gains, loses, because, exchanges } of answer.items) {
    terminal.print([workload ?? '(no subject)', ...(verdict === 'cannot_tell' ? [`cannot tell: ${because ?? ''}`] : []), `(${exchanges} exchanges)`].join('  '));
    for (const { role, scope, mapping } of gains) terminal.print(`  + ${role} at ${scope}  by ${mapping}`);
    for (const { role, scope, mapping } of loses) terminal.print(`  - ${role} at ${scope}  by ${mapping}`);
  }
  for (const note of answer.notes) terminal.print(`note: ${note}`);
  terminal.print(`${answer.looked} exchanges looked at, ${answer.unchanged} unchanged`);
}
