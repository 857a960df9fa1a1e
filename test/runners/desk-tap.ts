/** Stops a desk before or after a call, so that something can happen to the runner exactly there. */
import type { AttemptDesk } from '#features/runners/schema.ts';

export type DeskCall = 'claim' | 'payload' | 'token' | 'started' | 'heartbeat' | 'appendLog' | 'result';
/** `before` the desk did it; `after` it did, and before the runner is told. */
export type When = 'before' | 'after';

export type Hook = (call: DeskCall, when: When, answer: unknown) => Promise<void> | void;

export function tapped(desk: AttemptDesk, hook: () => Hook): AttemptDesk {
  const around = <A extends unknown[], R>(call: DeskCall, act: (...args: A) => Promise<R>) => async (...args: A): Promise<R> => {
    await hook()(call, 'before', undefined);
    const answer = await act(...args);
    await hook()(call, 'after', answer);
    return answer;
  };
  return {
    claim: around('claim', (request) => desk.claim(request)),
    watch: (accountId, wake) => desk.watch(accountId, wake),
    payload: around('payload', (ref, now) => desk.payload(ref, now)),
    masks: (ref, after, now) => desk.masks(ref, after, now),
    token: around('token', (ref, wish, now) => desk.token(ref, wish, now)),
    started: around('started', (ref, now) => desk.started(ref, now)),
    heartbeat: around('heartbeat', (ref, now) => desk.heartbeat(ref, now)),
    appendLog: around('appendLog', (ref, chunk, now) => desk.appendLog(ref, chunk, now)),
    result: around('result', (ref, result, now) => desk.result(ref, result, now)),
  };
}
