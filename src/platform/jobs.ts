/** Work that goes on while the server runs, one timer a job; a failure is logged and tried again next time. */
import type { BackgroundJob } from '#kernel/manifest.ts';
import type { Log } from './log.ts';
import { describeError } from './log.ts';

export interface Jobs {
  start(): void;
  /** Waits for the runs under way. */
  stop(): Promise<void>;
}

export function createJobs(jobs: readonly BackgroundJob[], log: Log): Jobs {
  const stopping = new AbortController();
  const running = new Set<Promise<void>>();
  const timers = new Map<string, NodeJS.Timeout>();

  function schedule(job: BackgroundJob): void {
    if (stopping.signal.aborted) return;
    timers.set(job.name, setTimeout(() => void run(job), job.everyMs));
  }

  async function run(job: BackgroundJob): Promise<void> {
    const work = Promise.try(() => job.run(stopping.signal)).catch((error: unknown) => {
      if (!stopping.signal.aborted) log.warn({ job: job.name, error: describeError(error) }, 'job failed');
    });
    running.add(work);
    await work;
    running.delete(work);
    schedule(job);
  }

  return {
    start: () => jobs.forEach(schedule),
    async stop() {
      stopping.abort();
      for (const timer of timers.values()) clearTimeout(timer);
      await Promise.all(running);
    },
  };
}
