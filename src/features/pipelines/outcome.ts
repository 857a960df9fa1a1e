/** How a step ends. */
import type { FinalStatus, Status } from './schema.ts';
import type { StatusReason } from './state.ts';
import type { Work } from './work.ts';

export type FailingStatus = 'Failed' | 'Errored' | 'Expired' | 'Aborted';

interface End {
  readonly status: FinalStatus;
  readonly reason: StatusReason | null;
}

export function finishStep(work: Work, stepUid: string, end: End): void {
  work.step({ ...work.stepOf(stepUid), ...end, endedAtMs: work.atMs });
}

/** What `Failure` and `Success` in a `when` are about. A failure that was ignored is none. */
export function isFailing(status: Status): status is FailingStatus {
  return status === 'Failed' || status === 'Errored' || status === 'Expired' || status === 'Aborted';
}
