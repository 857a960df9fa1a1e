import { execFile } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import { chmod, chown, lstat, mkdir, open, unlink, writeFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { refusal } from '#kernel/errors.ts';
import type { SandboxTools } from './isolation.ts';
import { PrivateFiles } from './private-files.ts';

const run = promisify(execFile);

/** An attempt's id becomes the name of its directory. */
const attemptIdPattern = /^[A-Za-z0-9_-]{1,64}$/;

/** A pipe with a name for a moment: the reading end is ours, the writing end is for the step and closed after spawning. */
export interface StepPipe {
  readonly readFd: number;
  readonly writeFd: number;
}

export interface AttemptDirectory {
  readonly path: string;
  /** Open since its creation, see `readOutputs`. */
  readonly outputs: FileHandle;
  readonly stdout: StepPipe;
  readonly stderr: StepPipe;
  readonly files: PrivateFiles;
}

/** What lies in an attempt's directory; each is put where the step sees it by its isolation. */
export const parts = { home: 'home', temporary: 'tmp', sharedMemory: 'shm', control: 'step', files: 'files' } as const;
/** What lies in `control`. */
export const controlFiles = {
  main: 'main', script: 'script', outputs: 'outputs', passwd: 'passwd', group: 'group', filter: 'filter',
} as const;

export interface AttemptFiles {
  readonly workRoot: string;
  readonly attemptId: string;
  readonly tools: SandboxTools;
  /** The step's own user and group, or null when it runs as the runner's. */
  readonly uid: number | null;
  readonly main: string;
  readonly script: string;
  /** A seccomp filter for the launcher to read, or null. */
  readonly filter: Uint8Array | null;
  /** What its identities bring, by name. */
  readonly files: ReadonlyMap<string, string>;
}

/**
 * Makes the private directory of an attempt. With a user of its own, the directory itself stays ours and lets only that
 * user's group through (0710), so that no step can rename what the runner put there; the step owns `home`, `tmp` and
 * `shm` (0700), may read its script and `files` and write its outputs. Nobody else can get in. Refuses when it exists already.
 */
export async function createAttemptDirectory(files: AttemptFiles): Promise<AttemptDirectory> {
  const path = attemptPath(files);
  await mkdir(path, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
    throw refusal('runner.cannot', { say: `the attempt \`${files.attemptId}\` was started here before`, cause: error });
  });
  try {
    const privateFiles = await PrivateFiles.create(join(path, parts.files), files.uid);
    for (const [name, content] of files.files) await privateFiles.write(name, content);
    return { path, files: privateFiles, ...(await fillDirectory(path, files)) };
  } catch (error) {
    await removeAttemptDirectory(files);
    throw error;
  }
}

async function fillDirectory(path: string, files: AttemptFiles): Promise<Omit<AttemptDirectory, 'path' | 'files'>> {
  const control = join(path, parts.control);
  const owner = { uid: files.uid ?? process.getuid?.() ?? 0, gid: files.uid ?? process.getgid?.() ?? 0 };
  await mkdir(control);
  await chmod(control, 0o711); // whatever the umask
  for (const part of [parts.home, parts.temporary, parts.sharedMemory]) {
    await mkdir(join(path, part), { mode: 0o700 });
    await give(join(path, part), owner);
  }
  for (const [name, content] of Object.entries(controlContents(files, owner))) {
    await writeFile(join(control, name), content, { mode: 0o400, flag: 'wx' });
    await give(join(control, name), owner);
  }
  const outputs = await open(join(control, controlFiles.outputs), 'wx+', 0o600);
  try {
    await give(join(control, controlFiles.outputs), owner);
    if (files.uid !== null) {
      await chown(path, 0, owner.gid);
      await chmod(path, 0o710);
    }
    const [stdout, stderr] = await makePipes(control, files.tools, owner);
    return { outputs, stdout, stderr };
  } catch (error) {
    await outputs.close();
    throw error;
  }
}

/**
 * Removes the directory of an attempt with all the step left in it; nothing when it is gone already. To be called after
 * the step's `exit`. `rm` walks by directory handles and never through links, so names longer than a path may be and
 * links to elsewhere are harmless; directories the step closed to itself are opened again first.
 */
export async function removeAttemptDirectory(options: {
  readonly workRoot: string;
  readonly attemptId: string;
  readonly tools: SandboxTools;
}): Promise<void> {
  const path = attemptPath(options);
  if ((await lstat(path).catch(() => null)) === null) return;
  const remove = () => run(options.tools.rm, ['-rf', '--', path], { env: {}, cwd: '/' });
  try {
    await remove();
  } catch {
    await run(options.tools.chmod, ['-R', 'u+rwx', '--', path], { env: {}, cwd: '/' }).catch(() => {});
    await remove();
  }
}

function attemptPath({ workRoot, attemptId }: { readonly workRoot: string; readonly attemptId: string }): string {
  if (!attemptIdPattern.test(attemptId)) {
    const given = attemptId.slice(0, 100);
    throw refusal('runner.cannot', { say: `the attempt id \`${given}\` must match ${attemptIdPattern.source}` });
  }
  return join(workRoot, attemptId);
}

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** `passwd` and `group` name the step's user to programs that insist on a name (`ssh`, `git`), and nobody else's. */
function controlContents(files: AttemptFiles, { uid, gid }: Owner): Record<string, string | Uint8Array> {
  const stepIsRoot = uid === 0;
  return {
    [controlFiles.main]: files.main,
    [controlFiles.script]: files.script,
    [controlFiles.passwd]:
      'root:x:0:0:root:/root:/bin/sh\n' +
      (stepIsRoot ? '' : `step:x:${uid}:${gid}:step:/home/step:/bin/sh\n`) +
      'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n',
    [controlFiles.group]: `root:x:0:\n${stepIsRoot ? '' : `step:x:${gid}:\n`}nogroup:x:65534:\n`,
    ...(files.filter === null ? {} : { [controlFiles.filter]: files.filter }),
  };
}

/**
 * The step's standard output and error. Real pipes owned by the step, for two reasons: those Node makes are sockets,
 * which `echo >/dev/stderr` cannot open, and an anonymous pipe of the runner's could not be opened by the step's user.
 */
async function makePipes(control: string, tools: SandboxTools, owner: Owner): Promise<[StepPipe, StepPipe]> {
  const [stdout, stderr] = [join(control, 'stdout'), join(control, 'stderr')] as const;
  await run(tools.mkfifo, ['-m', '600', '--', stdout, stderr], { env: {}, cwd: '/' });
  for (const path of [stdout, stderr]) await give(path, owner);
  const opened = openPipe(stdout);
  try {
    const pipes: [StepPipe, StepPipe] = [opened, openPipe(stderr)];
    await Promise.all([unlink(stdout), unlink(stderr)]);
    return pipes;
  } catch (error) {
    closeSync(opened.readFd);
    closeSync(opened.writeFd);
    throw error;
  }
}

/** Opened for reading first and without waiting, so that opening it for writing does not wait for a reader. */
function openPipe(path: string): StepPipe {
  const readFd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return { readFd, writeFd: openSync(path, constants.O_WRONLY) };
  } catch (error) {
    closeSync(readFd);
    throw error;
  }
}

async function give(path: string, { uid, gid }: Owner): Promise<void> {
  if (process.getuid?.() === 0) await chown(path, uid, gid);
}
