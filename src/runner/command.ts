/** `sallyport runner`. */
import { resolve } from 'node:path';
import { refusal } from '#kernel/errors.ts';
import { systemClock, systemRandomness } from '#platform/clock.ts';
import { createLog } from '#platform/log.ts';
import { runRunner } from './program.ts';

const defaults = { work: './runner', concurrency: 2, stopGrace: 60, cancelGrace: 10, retryMax: 60 } as const;
const maxConcurrency = 64;
const maxGraceSeconds = 86_400;

interface RunnerInput {
  readonly options: Readonly<Record<string, unknown>>;
  readonly terminal: { readonly print: (line: string) => void };
}

/** A command record of the CLI; `main.ts` adds it to the others. */
export const runnerCommand = {
  name: 'runner',
  summary: 'run steps for a server: asks it for work, keeps nothing open to the outside',
  options: [
    { flags: '--url <url>', help: 'server', required: true },
    { flags: '--registration-file <file>', help: 'what `POST …/runner-registrations` answered; needed at the first start' },
    { flags: '--work <dir>', help: `directory of the runner's key, journal and steps (default ${defaults.work})` },
    { flags: '--concurrency <n>', help: `steps at once (default ${defaults.concurrency})` },
    { flags: '--hide <dir>', help: 'directory no step may see (repeatable)', repeatable: true },
    { flags: '--expose <dir>', help: 'directory of the host that steps may read, such as /opt (repeatable)', repeatable: true },
    { flags: '--unsafe', help: 'run steps without isolation where there is none: a step can then do what the runner can' },
    { flags: '--stop-grace <seconds>', help: `how long steps may go on when the runner is told to stop (default ${defaults.stopGrace})` },
    { flags: '--cancel-grace <seconds>', help: `between TERM and KILL of a cancelled step (default ${defaults.cancelGrace})` },
    { flags: '--retry-max <seconds>', help: `longest wait between two tries to reach the server (default ${defaults.retryMax})` },
    { flags: '--same-host', help: 'the server is on this host, so its URL may be http' },
    { flags: '--until-stdin-ends', help: 'stop when standard input ends, as it does when the process that started the runner is gone' },
    { flags: '--log-level <level>', help: 'debug, info, warn or error (default info)' },
  ],
  run: async ({ options, terminal }: RunnerInput): Promise<void> => {
    const text = (name: string): string | undefined => options[name] as string | undefined;
    const list = (name: string): string[] => ((options[name] as string[] | undefined) ?? []).map((path) => resolve(path));
    const log = createLog(logLevel(text('logLevel')));
    await runRunner(
      {
        url: (text('url') ?? '').replace(/\/+$/, ''),
        sameHost: options['sameHost'] === true,
        registrationFile: text('registrationFile'),
        work: text('work') ?? defaults.work,
        concurrency: wholeNumber('--concurrency', text('concurrency'), { fallback: defaults.concurrency, min: 1, max: maxConcurrency }),
        hide: list('hide'),
        expose: list('expose'),
        unsafe: options['unsafe'] === true,
        stopGraceMs: 1_000 * wholeNumber('--stop-grace', text('stopGrace'), { fallback: defaults.stopGrace, min: 0, max: maxGraceSeconds }),
        retryMaxMs: 1_000 * wholeNumber('--retry-max', text('retryMax'), { fallback: defaults.retryMax, min: 1, max: 3_600 }),
        cancelGraceMs: 1_000 * wholeNumber('--cancel-grace', text('cancelGrace'), { fallback: defaults.cancelGrace, min: 0, max: maxGraceSeconds }),
      },
      { clock: systemClock, randomness: systemRandomness, log, print: terminal.print, stop: stopSignal(options['untilStdinEnds'] === true) },
    );
  },
} as const;

function stopSignal(withStdin: boolean): AbortSignal {
  const stop = new AbortController();
  const now = (): void => stop.abort(new Error('the runner was told to stop'));
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, now);
  if (withStdin) {
    process.stdin.once('end', now).once('error', now).resume();
    stop.signal.addEventListener('abort', () => process.stdin.destroy(), { once: true });
  }
  return stop.signal;
}

function wholeNumber(flag: string, given: string | undefined, { fallback, min, max }: { readonly fallback: number; readonly min: number; readonly max: number }): number {
  if (given === undefined) return fallback;
  const number = Number(given);
  if (/^\d{1,9}$/.test(given) && number >= min && number <= max) return number;
  throw refusal('config.invalid', { say: `\`${flag} ${given}\` must be a whole number from ${min} to ${max}` });
}

function logLevel(given: string | undefined): string {
  if (given === undefined) return 'info';
  if (['debug', 'info', 'warn', 'error'].includes(given)) return given;
  throw refusal('config.invalid', { say: `\`--log-level ${given}\` must be debug, info, warn or error` });
}
