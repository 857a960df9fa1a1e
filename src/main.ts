/** argv → command; the exit code. */
import { createKinds } from './app.ts';
import { hostCommands } from './host-commands.ts';
import { remoteCommands } from './surfaces/cli.ts';
import { runCli } from './surfaces/command-line.ts';

const remote = remoteCommands({ kinds: createKinds, wrap: () => null });
process.exitCode = await runCli(process.argv.slice(2), [...hostCommands, ...remote]);
