/**
 * Requests in flight. One counts from its head until its answer is out or its client has left, and as long as its work
 * goes on: whoever opens requests and leaves has no more work done at once than whoever stays.
 */
import type { ServerResponse } from 'node:http';
import type { ErrorCode } from '#kernel/errors.ts';
import { refusal } from '#kernel/errors.ts';

/** Whoever the work is done for. */
export interface Awaiting {
  /** Ends, with the refusal to stop with, when the time is over or the client has left. Made when it is first asked for. */
  readonly signal: AbortSignal;
}

export interface InFlight {
  readonly count: number;
  enter(response: ServerResponse): void;
  /** The outcome of the work, or a refusal when nobody waits for it any more; the work is told by its signal. */
  attend<T>(response: ServerResponse, work: (awaiting: Awaiting) => Promise<T>): Promise<T>;
}

export function createInFlight(timeoutMs: number): InFlight {
  let open = 0;
  /** Work that goes on although its response is closed. */
  let abandoned = 0;
  return {
    get count() {
      return open + abandoned;
    },
    enter(response) {
      open += 1;
      response.once('close', () => (open -= 1));
    },
    attend(response, work) {
      return new Promise((resolve, reject) => {
        const awaiting = new Waiter(reject);
        const timer = setTimeout(() => awaiting.leave('request.timeout'), timeoutMs).unref();
        let working = true;
        response.once('close', () => {
          if (!working) return;
          abandoned += 1;
          awaiting.leave('request.abandoned');
        });
        const stopped = (): void => {
          working = false;
          clearTimeout(timer);
          if (response.closed) abandoned -= 1;
        };
        const outcome = work(awaiting);
        outcome.then(stopped, stopped);
        outcome.then(resolve, reject);
      });
    },
  };
}

class Waiter implements Awaiting {
  readonly #tell: (reason: unknown) => void;
  #reason: unknown;
  #controller: AbortController | undefined;

  constructor(tell: (reason: unknown) => void) {
    this.#tell = tell;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  leave(code: ErrorCode): void {
    if (this.#reason !== undefined) return;
    this.#reason = refusal(code);
    this.#controller?.abort(this.#reason);
    this.#tell(this.#reason);
  }
}
