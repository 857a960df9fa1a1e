import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refusal } from '#kernel/errors.ts';
import { persist } from './persist.ts';

const low = { bytes: (count: number) => Buffer.alloc(count, 0) };
const never = new AbortController().signal;

function failing(errors: readonly unknown[]): { send: () => Promise<string>; sent: () => number } {
  let sent = 0;
  return {
    sent: () => sent,
    send: async () => {
      const error = errors[sent];
      sent += 1;
      if (error !== undefined) throw error;
      return 'answer';
    },
  };
}

const again: readonly { guarantee: string; error: unknown }[] = [
  { guarantee: 'a line that breaks is tried again', error: new Error('ECONNRESET') },
  { guarantee: 'a server that is busy is tried again', error: refusal('server.busy') },
  { guarantee: 'a server that limits is tried again', error: refusal('request.rate_limited', { retryAfterSeconds: 0 }) },
  { guarantee: 'a server that makes a mistake is tried again', error: refusal('server.defect') },
  { guarantee: 'a database that is gone is tried again', error: refusal('database.unavailable', { retryAfterSeconds: 0 }) },
];
for (const { guarantee, error } of again) {
  test(guarantee, async () => {
    const { send, sent } = failing([error, error]);
    assert.equal(await persist(send, { randomness: low, signal: never }), 'answer');
    assert.equal(sent(), 3);
  });
}

for (const code of ['runner.stale_fence', 'credential.invalid', 'request.invalid', 'runner.protocol', 'request.too_large'] as const) {
  test(`a refusal \`${code}\` is final`, async () => {
    const { send, sent } = failing([refusal(code)]);
    await assert.rejects(persist(send, { randomness: low, signal: never }), { code });
    assert.equal(sent(), 1);
  });
}

test('an end of trying is told with its reason, and nothing is sent any more', async () => {
  const stop = new AbortController();
  const { send, sent } = failing([new Error('one')]);
  const trying = persist(send, { randomness: { bytes: (count) => Buffer.alloc(count, 255) }, signal: stop.signal, onFailure: () => stop.abort(new Error('over')) });
  await assert.rejects(trying, { message: 'over' });
  assert.equal(sent(), 1);
});
