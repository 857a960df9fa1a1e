/** The runner: who it is, where it can run steps, what it left behind, and then work until it is told to stop. */
import { chmod, mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Refusal, refusal } from '#kernel/errors.ts';
import type { Clock, Randomness } from '#platform/clock.ts';
import { isPublic } from '#platform/config.ts';
import { lockForServer } from '#platform/database/directory-lock.ts';
import type { FileLock } from '#platform/database/directory-lock.ts';
import type { Log } from '#platform/log.ts';
import { describeError } from '#platform/log.ts';
import type { AttemptServices } from './attempt.ts';
import { runAttempt } from './attempt.ts';
import { claimWork } from './claim-loop.ts';
import { detectIsolation } from './detect-isolation.ts';
import { enrol } from './enrol.ts';
import { httpTransport } from './http-transport.ts';
import type { Isolation } from './isolation.ts';
import { Journal } from './journal.ts';
import { removeLeftSteps, settleLeft } from './recover.ts';

export interface RunnerSettings {
  readonly url: string;
  /** The server is on this host, so that nobody is on the way: http is enough. */
  readonly sameHost: boolean;
  readonly registrationFile: string | undefined;
  /** Everything this runner keeps: its key, its journal, the directories of steps. For one runner at a time. */
  readonly work: string;
  readonly concurrency: number;
  /** Directories no step may see, and host directories steps need; see `detectIsolation`. */
  readonly hide: readonly string[];
  readonly expose: readonly string[];
  /** Run steps bare when nothing isolates them. */
  readonly unsafe: boolean;
  /** How long running steps may go on when the runner is told to stop. */
  readonly stopGraceMs: number;
  readonly cancelGraceMs: number;
  /** Longest wait between two tries to reach a server that does not answer. */
  readonly retryMaxMs: number;
}

export interface RunnerWorld {
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly log: Log;
  /** For whoever started it. */
  readonly print: (line: string) => void;
  /** Aborted when it is to stop. */
  readonly stop: AbortSignal;
}

/** How long the last results may take once nothing runs any more. */
const deliveryGraceMs = 5_000;

/** Runs until `stop`. Refuses what cannot become better by waiting: a bad setting, no isolation, a server that does not want it. */
export async function runRunner(settings: RunnerSettings, world: RunnerWorld): Promise<void> {
  refuseOpenLine(settings);
  const work = resolve(settings.work);
  await makeWorkDirectory(work);
  const lock = takeWorkDirectory(work);
  try {
    const isolation = await isolationFor({ ...settings, work }, world);
    const identity = await enrol({ ...world, url: settings.url, registrationFile: settings.registrationFile, retryMaxMs: settings.retryMaxMs, work, signal: world.stop });
    const { account, identifier } = identity.registration;
    const deadline = deadlines(world.stop, settings.stopGraceMs, settings.cancelGraceMs);
    try {
      const services: AttemptServices = {
        ...world, ...deadline, identity, isolation, workRoot: stepsDirectory(work), cancelGraceMs: settings.cancelGraceMs,
        transport: httpTransport({ url: settings.url, account }, { identity, clock: world.clock }),
        journal: await Journal.open(join(work, 'attempts')),
      };
      await removeLeftSteps(services);
      const left = await services.journal.left();
      const begin = async (): Promise<void> => {
        await settleLeft(services, left);
        world.print(`sallyport runner ready ${identifier}`);
        world.log.info({ runner: identifier, account, isolation: isolation.kind }, 'runner ready');
      };
      await claimWork(services, { places: settings.concurrency, retryMaxMs: settings.retryMaxMs, stop: world.stop, begin, work: (claim) => runAttempt(services, claim) });
    } finally {
      deadline.clear();
    }
  } catch (error) {
    // Told to stop while it was still starting.
    if (!world.stop.aborted || error instanceof Refusal) throw notKnownAnyMore(error);
    world.log.debug({ error: describeError(error) }, 'stopped while starting');
  } finally {
    lock.release();
  }
}

/** Where steps get their directories. */
export function stepsDirectory(work: string): string {
  return join(work, 'steps');
}

/** Passable for the users of steps, listable for nobody else, as `detectIsolation` wants it. */
export async function makeWorkDirectory(work: string): Promise<void> {
  await mkdir(work, { recursive: true, mode: 0o700 });
  await chmod(work, process.getuid?.() === 0 ? 0o711 : 0o700);
}

/** Whoever is on the way could put another script in the place of the one asked for. */
function refuseOpenLine({ url, sameHost }: RunnerSettings): void {
  if (!URL.canParse(url)) throw refusal('config.invalid', { say: `\`${url}\` is not a URL` });
  if (new URL(url).protocol !== 'https:' && !sameHost && isPublic(url)) throw refusal('config.unsafe', { say: `the server's URL \`${url}\` must be https outside loopback` });
}

function takeWorkDirectory(work: string): FileLock {
  try {
    return lockForServer(work);
  } catch (error) {
    if (!(error instanceof Refusal) || error.code !== 'host.in_use') throw error;
    throw refusal('host.in_use', { say: `the work directory \`${work}\` is in use by another runner; stop that one, or give another \`--work\``, cause: error });
  }
}

async function isolationFor(settings: RunnerSettings, { log }: RunnerWorld): Promise<Isolation> {
  const { work, hide, expose, unsafe } = settings;
  const { isolation, explained } = await detectIsolation({ workRoot: stepsDirectory(work), hide: [work, ...hide], expose, acceptNone: unsafe });
  log.info({ isolation: isolation.kind, tried: explained.split('\n') }, 'isolation of steps');
  if (isolation.kind !== 'none' || isolation.accepted) return isolation;
  throw refusal('config.unsafe', { say: `steps cannot be isolated here, so this runner does not start:\n${explained}` });
}

interface Deadlines {
  readonly stopping: AbortSignal;
  readonly givenUp: AbortSignal;
  readonly clear: () => void;
}

/** After the word to stop: first running steps may end, then they are cancelled, then undelivered results are kept for later. */
function deadlines(stop: AbortSignal, stopGraceMs: number, cancelGraceMs: number): Deadlines {
  const stopping = new AbortController();
  const givenUp = new AbortController();
  const timers: NodeJS.Timeout[] = [];
  const begin = (): void => {
    timers.push(setTimeout(() => stopping.abort(new Error('the runner is stopping')), stopGraceMs));
    timers.push(setTimeout(() => givenUp.abort(new Error('the runner ends now')), stopGraceMs + cancelGraceMs + deliveryGraceMs));
  };
  if (stop.aborted) begin();
  else stop.addEventListener('abort', begin, { once: true });
  return { stopping: stopping.signal, givenUp: givenUp.signal, clear: () => timers.forEach(clearTimeout) };
}

function notKnownAnyMore(error: unknown): unknown {
  if (!(error instanceof Refusal) || error.code !== 'credential.invalid' || error.say !== undefined) return error;
  return refusal('credential.invalid', { say: 'the server does not know this runner any more; start it with a new registration and an empty work directory', cause: error });
}
