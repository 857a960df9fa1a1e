/** argv → command; the exit code. */
import { readFileSync } from 'node:fs';
import { askingCommands } from './asking-commands.ts';
import { runnerCommand } from './runner/command.ts';
import { runCli } from './surfaces/command-line.ts';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
const argv = process.argv.slice(2);
// The server takes a second to load: who only asks one, or works for one, need not wait for that.
const withoutServer = [runnerCommand, ...askingCommands];
const isOneOfThem = withoutServer.some(({ name }) => `${argv.join(' ')} `.startsWith(`${name} `));
const commands = isOneOfThem ? withoutServer : (await import('./commands.ts')).commands;
process.exitCode = await runCli(argv, { commands, version });
