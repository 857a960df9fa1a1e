/** Commands about sessions of workloads: which there are, and ending them at once. */
import type { CommandRecord } from './command-line.ts';
import { UsageError, table } from './command-line.ts';
import { remote } from './remote-command.ts';

interface Session {
  readonly id: string;
  readonly issuer: string;
  readonly subject: string;
  readonly label: string;
  readonly expiresAt: string;
  readonly revokedAt: string | null;
}

const selectors = [
  { flags: '--subject <subject>', help: 'of workloads with this subject' },
  { flags: '--mapping <path>', help: 'of a claim mapping' },
  { flags: '--issuer <issuer>', help: 'of a trusted issuer' },
];

export const sessionCommands: readonly CommandRecord[] = [
  remote({
    name: 'session list',
    summary: 'sessions of workloads that live, newest first',
    options: [...selectors, { flags: '--all', help: 'also those that are over or revoked' }, { flags: '--limit <n>', help: 'how many, at most 200' }],
    data: true,
    run: async (server, { options, terminal, json }) => {
      const query = new URLSearchParams();
      for (const name of ['subject', 'mapping', 'issuer', 'limit']) if (typeof options[name] === 'string') query.set(name, options[name]);
      if (options['all'] === true) query.set('all', 'true');
      const { items } = (await server.call({ method: 'GET', path: `${server.api}/sessions?${query.toString()}` })) as { items: Session[] };
      if (json) return terminal.print(JSON.stringify(items));
      for (const line of table([['id', 'workload', 'issuer', 'subject', 'ends'], ...items.map(({ id, label, issuer, subject, expiresAt, revokedAt }) => [id, label, issuer, subject, revokedAt === null ? expiresAt : `revoked ${revokedAt}`])])) terminal.print(line);
    },
  }),
  remote({
    name: 'session revoke',
    summary: 'end a session, or all of a subject, mapping or issuer, at once, and what runs they started may',
    options: [{ flags: '--id <session>', help: 'one session' }, ...selectors],
    data: true,
    run: async (server, { options, terminal, json }) => {
      const named = ['id', 'subject', 'mapping', 'issuer'].filter((name) => options[name] !== undefined);
      if (named.length !== 1) throw new UsageError('name exactly one of `--id`, `--subject`, `--mapping` and `--issuer`');
      const [by] = named as [string];
      const value = String(options[by]);
      if (by === 'id') await server.call({ method: 'DELETE', path: `${server.api}/sessions/${encodeURIComponent(value)}` });
      const answer = by === 'id' ? { revoked: 1 } : ((await server.call({ method: 'POST', path: `${server.api}/sessions:revoke`, body: { [by]: value } })) as { revoked: number });
      terminal.print(json ? JSON.stringify(answer) : `${answer.revoked} ${answer.revoked === 1 ? 'session has' : 'sessions have'} ended`);
    },
  }),
];
