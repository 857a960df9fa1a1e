/** The commands that ask a server. They load nothing of it before they need it: most of them never do. */
import { remoteCommands } from './surfaces/cli.ts';
import type { CommandRecord } from './surfaces/command-line.ts';
import type { Wrapper } from './surfaces/manifest-files.ts';

/** `apply` takes a pipeline file as it is; its org and project identifiers name the scope. */
const wrap: Wrapper = async (document) => {
  const { barePointer, bareToManifest, isBarePipeline } = await import('#features/pipelines/feature.ts');
  if (!isBarePipeline(document)) return null;
  const result = bareToManifest(document);
  return 'errors' in result ? result : { manifest: { ...result.manifest }, pointerInFile: barePointer };
};

const kinds = async () => (await import('./app.ts')).createKinds();

export const askingCommands: readonly CommandRecord[] = remoteCommands({ kinds, wrap });
