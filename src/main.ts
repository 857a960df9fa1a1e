/** argv → command; the exit code. */
import { readFileSync } from 'node:fs';
import { commands } from './commands.ts';
import { runCli } from './surfaces/command-line.ts';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
process.exitCode = await runCli(process.argv.slice(2), { commands, version });
