/** All commands of the product, in the order they are shown. */
import { barePointer, bareToManifest, isBarePipeline } from '#features/pipelines/feature.ts';
import { createKinds } from './app.ts';
import { hostCommands } from './host-commands.ts';
import { runnerCommand } from './runner/command.ts';
import { remoteCommands } from './surfaces/cli.ts';
import type { CommandRecord } from './surfaces/command-line.ts';
import type { Wrapper } from './surfaces/manifest-files.ts';

/** `apply` takes a pipeline file as it is; its org and project identifiers name the scope. */
const wrap: Wrapper = (document) => {
  if (!isBarePipeline(document)) return null;
  const result = bareToManifest(document);
  return 'errors' in result ? result : { manifest: { ...result.manifest }, pointerInFile: barePointer };
};

export const commands: readonly CommandRecord[] = [...hostCommands, runnerCommand, ...remoteCommands({ kinds: createKinds, wrap })];
