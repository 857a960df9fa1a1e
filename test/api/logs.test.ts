import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import fc from 'fast-check';
import type { AttemptRef, Stream } from '#features/runners/schema.ts';
import { runs as times } from '#test/mode.ts';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { problem } from './answers.ts';
import { makeUser } from './principals.ts';
import { Runs, checkout, pipeline, runWorld, step } from './runs.ts';
import type { Started } from './runs.ts';

let server: TestServer;
let runs: Runs;

before(async () => {
  server = await startTestServer();
  runs = new Runs(server);
  const two = [step('one'), step('two')];
  await server.apply([...runWorld, pipeline('prints', { build: [step('only')] }), pipeline('beside', { build: [{ parallel: two }] }), pipeline('long', { build: Array.from({ length: 200 }, (_, n) => step(`s${n}`)) })]);
});

interface Page {
  readonly chunks: readonly { readonly stage: string; readonly step: string; readonly attempt: number; readonly stream: Stream; readonly offset: number; readonly text: string }[];
  readonly next: string;
  readonly ended: boolean;
}

async function page(run: Started, after?: string): Promise<Page> {
  const answer = await runs.call(run, { below: `/logs${after === undefined ? '' : `?after=${after}`}` });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return answer.body as Page;
}

const printed = ({ chunks }: Page): string[] => chunks.map((chunk) => `${chunk.step} ${chunk.stream} ${chunk.offset} ${chunk.text}`);

/** A run of one step that has begun. */
async function printing(): Promise<{ run: Started; ref: AttemptRef }> {
  const run = await runs.start('prints');
  const ref = (await runs.lease())!;
  await runs.begin(ref);
  return { run, ref };
}

describe('a log', () => {
  test('is read while it grows, and from where the reader stopped', async () => {
    const { run, ref } = await printing();
    const nothing = await page(run);
    assert.deepEqual([nothing.chunks, nothing.ended], [[], false]);
    await runs.print(ref, 0, 'one\n');
    await runs.print(ref, 0, 'error\n', 'stderr');
    const first = await page(run, nothing.next);
    assert.deepEqual(printed(first), ['only stdout 0 one\n', 'only stderr 0 error\n']);
    await runs.print(ref, 4, 'two\n');
    const second = await page(run, first.next);
    assert.deepEqual(printed(second), ['only stdout 4 two\n']);
    assert.deepEqual((await page(run, second.next)).chunks, []);
    await runs.end(ref);
    assert.deepEqual([(await page(run, second.next)).ended, (await page(run)).ended, printed(await page(run))], [true, false, ['only stdout 0 one\ntwo\n', 'only stderr 0 error\n']]);
  });

  test('of steps that run beside each other is read of both', async () => {
    const run = await runs.start('beside');
    const [one, two] = [(await runs.lease())!, (await runs.lease())!];
    await Promise.all([runs.begin(one), runs.begin(two)]);
    await runs.print(one, 0, 'a');
    await runs.print(two, 0, 'b');
    const first = await page(run);
    await runs.print(one, 1, 'c');
    await runs.print(two, 1, 'd');
    assert.deepEqual([printed(first), printed(await page(run, first.next))], [['one stdout 0 a', 'two stdout 0 b'], ['one stdout 1 c', 'two stdout 1 d']]);
    await Promise.all([runs.end(one), runs.end(two)]);
  });

  const characters: [says: string, parts: readonly (readonly number[])[], read: readonly string[], atEnd: string][] = [
    ['a character cut between two chunks waits for its rest', [[0x61, 0xc3], [0xbc, 0x62]], ['a', 'üb'], ''],
    ['one of four bytes that comes byte by byte is one', [[0xf0], [0x9f], [0x94], [0x92]], ['', '', '', '🔒'], ''],
    ['one that stays cut is told when nothing will follow', [[0x61, 0xe2, 0x82]], ['a'], '�'],
    ['bytes that are no UTF-8 hold nothing up', [[0xff, 0x61, 0xfe, 0x62]], ['�a�b'], ''],
    ['a lone continuation is no beginning', [[0x80], [0x61]], ['�', 'a'], ''],
  ];
  for (const [says, parts, read, atEnd] of characters) {
    test(says, async () => {
      const { run, ref } = await printing();
      let [offset, after]: [number, string | undefined] = [0, undefined];
      for (const [i, part] of parts.entries()) {
        await runs.print(ref, offset, Buffer.from(part));
        offset += part.length;
        const { chunks, next } = await page(run, after);
        assert.equal(chunks.map(({ text }) => text).join(''), read[i]);
        after = next;
      }
      await runs.end(ref);
      assert.equal((await page(run, after)).chunks.map(({ text }) => text).join(''), atEnd);
    });
  }

  test('is the same text however it was cut and whenever it was read', async () => {
    const text = Buffer.from('Zeile für Zeile: 🔒 — «ja»\n'.repeat(8));
    const cuts = fc.array(fc.record({ bytes: fc.integer({ min: 1, max: 40 }), read: fc.boolean() }), { maxLength: 30 });
    await fc.assert(fc.asyncProperty(cuts, async (some) => {
      const { run, ref } = await printing();
      let [offset, after, seen]: [number, string | undefined, string] = [0, undefined, ''];
      const read = async (): Promise<void> => {
        const { chunks, next } = await page(run, after);
        seen += chunks.map((chunk) => chunk.text).join('');
        after = next;
      };
      for (const { bytes, read: now } of [...some, { bytes: text.length, read: false }]) {
        const part = text.subarray(offset, offset + bytes);
        await runs.print(ref, offset, part);
        offset += part.length;
        if (now) await read();
      }
      await runs.end(ref);
      await read();
      assert.equal(seen, text.toString('utf8'));
    }), { numRuns: times(8, 100) });
  });

  test('longer than a page comes in pages, whole and without an end in between', async () => {
    const { run, ref } = await printing();
    const part = `${'0123456789abcde'.repeat(8 * 1024)}ü`.repeat(2);
    let offset = 0;
    for (let n = 0; n < 6; n += 1, offset += Buffer.byteLength(part)) await runs.print(ref, offset, part);
    await runs.end(ref);
    const seen: string[] = [];
    let [pages, after, ended]: [number, string | undefined, boolean] = [0, undefined, false];
    for (; !ended; pages += 1) {
      const { chunks, next, ended: over } = await page(run, after);
      assert.ok(chunks.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0) <= 512 * 1024);
      seen.push(...chunks.map(({ text }) => text));
      [after, ended] = [next, over];
    }
    assert.equal(seen.join(''), part.repeat(6));
    assert.ok(pages >= 4);
  });
});

describe('the place in a log', () => {
  test('of the longest pipeline fits into a URL', async () => {
    const run = await runs.start('long');
    await server.sql(`insert into attempt (account_id, id, execution_id, step_uid, number, status, fence, timeout_ms, offered_at, stdout_bytes, stderr_bytes)
      select account_id, gen_random_uuid(), id, 'build.s' || n, 1, 'started', 1, 1000, now(), 1, 1 from execution, generate_series(1, 199) n where id = $1`, [run.id]);
    await server.sql(`insert into log_segment (account_id, attempt_id, stream, start_offset, bytes, mask_version, at)
      select account_id, id, stream, 0, 'x', 1, now() from attempt, unnest(array['stdout', 'stderr']) stream where execution_id = $1 and stdout_bytes = 1`, [run.id]);
    const { chunks, next } = await page(run);
    assert.equal(chunks.length, 398);
    assert.ok(next.length < 12_000, String(next.length));
    assert.deepEqual((await page(run, next)).chunks, []);
    await server.sql(`delete from attempt where execution_id = $1 and stdout_bytes = 1`, [run.id]);
    await runs.call(run, { below: '/abort' });
  });

  test('is somebody’s, in one execution', async () => {
    const [{ run, ref }, { run: other, ref: otherRef }] = [await printing(), await printing()];
    await runs.print(ref, 0, 'text');
    const { next } = await page(run);
    const { token } = await makeUser(server, 'reader', [{ role: 'project_viewer', scope: checkout, resourceGroup: 'all_project_level_resources' }]);
    problem(await runs.call(run, { below: `/logs?after=${next}`, token }), 400, 'request.invalid');
    problem(await runs.call(other, { below: `/logs?after=${next}` }), 400, 'request.invalid');
    problem(await runs.call(run, { below: `/logs?after=${Buffer.from('{"x":1}').toString('base64url')}` }), 400, 'request.invalid');
    await Promise.all([runs.end(ref), runs.end(otherRef)]);
  });
});
