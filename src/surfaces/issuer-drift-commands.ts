/** Commands about names of an issuer that came with another id. */
import type { CommandRecord } from './command-line.ts';
import { table } from './command-line.ts';
import { collect, remote } from './remote-command.ts';

export const issuerDriftCommands: readonly CommandRecord[] = [
  remote({
    name: 'issuer drift list',
    summary: 'names of an issuer that came with another id than before, and were refused',
    args: [['<issuer>', 'identifier of a TrustedIssuer']],
    options: [{ flags: '--all', help: 'also names that came with no other id' }],
    data: true,
    run: async (server, { args, options, terminal, json }) => {
      const items = await collect(server, `${server.api}/trusted-issuers/${encodeURIComponent(args[0]!)}/drift${options['all'] === true ? '?all=true' : ''}`);
      if (json) return terminal.print(JSON.stringify(items));
      const rows = items.map((item) => [String(item['pin']), String(item['claim']), String(item['name']), String(item['tenant']), String(item['id']), item['otherId'] === null ? '' : `came as ${String(item['otherId'])}`]);
      for (const line of table(rows)) terminal.print(line.trimEnd());
      return undefined;
    },
  }),
  remote({
    name: 'issuer drift accept',
    summary: 'take the id a name came with for good: whoever has it now is who is meant',
    args: [['<issuer>', 'identifier of a TrustedIssuer'], ['<pin>', 'as `issuer drift list` shows it']],
    options: [{ flags: '--id <id>', help: 'the id it came with, so that nobody accepts another one unseen', required: true }],
    run: async (server, { args, options, terminal }) => {
      const path = `${server.api}/trusted-issuers/${encodeURIComponent(args[0]!)}/drift:accept`;
      const { claim, name, was } = (await server.call({ method: 'POST', path, body: { pin: args[1]!, id: options['id'] } })) as { claim: string; name: string; was: string };
      terminal.print(`${claim} ${name} is ${String(options['id'])} from now on, and not ${was}`);
    },
  }),
];
