/** All commands of the product, in the order they are shown. */
import { askingCommands } from './asking-commands.ts';
import { hostCommands } from './host-commands.ts';
import { runnerCommand } from './runner/command.ts';
import type { CommandRecord } from './surfaces/command-line.ts';

export const commands: readonly CommandRecord[] = [...hostCommands, runnerCommand, ...askingCommands];
