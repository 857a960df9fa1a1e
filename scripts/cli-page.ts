import { commands } from '../src/commands.ts';
import { hostSettings, settingOptions } from '../src/host-settings.ts';
import type { CommandOption, CommandRecord } from '../src/surfaces/command-line.ts';
import { remoteOptions } from '../src/surfaces/remote-command.ts';

/** Options many commands share, said once. */
const shared: readonly { readonly title: string; readonly lead: string; readonly options: readonly CommandOption[] }[] = [
  { title: 'Options of commands that ask a server', lead: 'They talk to a running server with the token they are given.', options: remoteOptions },
  { title: 'Options of commands on the host', lead: 'They work with the data directory or the database; most of them also beside a running server.', options: settingOptions(hostSettings) },
];

/** The page of all commands, from their records. */
export function cliPage(records: readonly CommandRecord[] = commands): string {
  return [head, ...shared.map((group) => `## ${group.title}\n\n${group.lead}\n\n${optionTable(group.options)}`), '## Commands\n', ...records.map(section)].join('\n');
}

const head = `<!-- Derived from the command records by \`npm run derive\`. Do not edit. -->

# Command line

\`bin/sallyport COMMAND\`; \`--help\` behind any of them tells what this page tells. Progress goes to standard error and only
to a terminal. \`--json\` is there where a command prints data.

| exit code | means |
|--:|---|
| 0 | done; of \`check\`: allowed; of \`run --follow\`: Success |
| 1 | refused or failed |
| 2 | the command is not written right |
| 3 | the data directory is in use |
| 4 | the database went away or cannot be reached |
`;

function section(record: CommandRecord): string {
  const options = record.options ?? [];
  const groups = shared.filter((group) => group.options.every((one) => options.some(({ flags }) => flags === one.flags)));
  const own = options.filter(({ flags, help }) => !groups.some((group) => group.options.some((one) => one.flags === flags && one.help === help)));
  const usage = ['sallyport', record.name, ...(record.args ?? []).map(([name]) => name), ...own.filter((one) => one.required).map(({ flags }) => flags), ...(own.some((one) => !one.required) ? ['[options]'] : [])];
  const links = groups.map(({ title }) => `[${title.charAt(0).toLowerCase()}${title.slice(1)}](#${title.toLowerCase().replaceAll(' ', '-')})`);
  return [
    `### \`${record.name}\`\n`,
    `${capital(record.summary)}.\n`,
    `\`\`\`\n${usage.join(' ')}\n\`\`\`\n`,
    ...(record.args === undefined ? [] : [`| argument | |\n|---|---|\n${record.args.map(([name, help]) => `| \`${name}\` | ${cell(help)} |`).join('\n')}\n`]),
    ...(own.length === 0 ? [] : [optionTable(own)]),
    ...(links.length === 0 && record.data !== true ? [] : [`Also: ${[...(record.data === true ? ['`--json`'] : []), ...links].join(', ')}.\n`]),
  ].join('\n');
}

function optionTable(options: readonly CommandOption[]): string {
  return `| option | |\n|---|---|\n${options.map(({ flags, help }) => `| \`${flags}\` | ${cell(help)} |`).join('\n')}\n`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
