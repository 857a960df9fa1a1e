/**
 * The outcome of `work`, or a refusal when it does not come in time. The work goes on: a database that hangs cannot be
 * told to stop, but nobody has to hang with it.
 */
import { refusal } from '#kernel/errors.ts';

const databasePatienceMs = 1_000;

export async function withPatience<T>(work: Promise<T>, patienceMs: number = databasePatienceMs): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(refusal('database.unavailable', { because: `no answer for ${patienceMs} ms`, retryAfterSeconds: 1 })), patienceMs);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
