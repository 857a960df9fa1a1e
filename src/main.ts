/** argv → command; the exit code. */
import { commands } from './commands.ts';
import { runCli } from './surfaces/command-line.ts';

process.exitCode = await runCli(process.argv.slice(2), commands);
