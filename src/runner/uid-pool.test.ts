import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import type { UidRange } from './uid-pool.ts';
import { uidPool as poolIn } from './uid-pool.ts';

/** Numbers nobody else on this host uses while the tests run: two processes of tests have different ones. */
const first = 1_900_100_000 + (process.pid % 10_000) * 10;
const range = { first, last: first + 2 };

const locks = mkdtempSync(join(tmpdir(), 'sp-'));
after(() => rmSync(locks, { recursive: true }));
const uidPool = (wanted: UidRange) => poolIn(wanted, { locks });

describe('the users of steps', () => {
  test('two claims never have the same user, and a released one comes back last', async () => {
    const pool = await uidPool(range);
    const [a, b] = [await pool.claim(), await pool.claim()];
    assert.notEqual(a.uid, b.uid);
    await a.release({ reusable: true });
    const c = await pool.claim();
    assert.equal(new Set([a.uid, b.uid, c.uid]).size, 3);
    const again = await pool.claim();
    assert.equal(again.uid, a.uid);
    await Promise.all([b, c, again].map((claimed) => claimed.release({ reusable: true })));
  });

  test('two pools of one range share the host without sharing a user', async () => {
    const pools = await Promise.all([uidPool(range), uidPool(range)]);
    const claimed = await Promise.all(pools.map((pool) => pool.claim()));
    assert.notEqual(claimed[0]?.uid, claimed[1]?.uid);
    await Promise.all(claimed.map((one) => one.release({ reusable: true })));
  });

  test('a runner of another process keeps its user until it ends', async () => {
    const code = `
      import { uidPool } from ${JSON.stringify(import.meta.resolve('./uid-pool.ts'))};
      const claimed = await (await uidPool({ first: ${first}, last: ${first} }, { locks: ${JSON.stringify(locks)} })).claim();
      console.log(claimed.uid);
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], { env: {}, stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    const pool = await uidPool({ first, last: first });
    await assert.rejects(pool.claim(), { code: 'runner.cannot' });
    assert.equal(await pool.claimExactly(first), null);
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
    const claimed = await pool.claim();
    assert.equal(claimed.uid, first);
    await claimed.release({ reusable: true });
  });

  test('a user something of which may be alive is not given out again', async () => {
    const pool = await uidPool({ first: first + 5, last: first + 5 });
    await (await pool.claim()).release({ reusable: false });
    await assert.rejects(pool.claim(), { code: 'runner.cannot' });
  });

  test('a step that takes every name it can keeps no other from a user', async () => {
    // Abstract sockets are anybody's to take.
    const taken = await Promise.all([7, 8].map((n) => new Promise<ReturnType<typeof createServer>>((resolve) => {
      const server = createServer().listen({ path: `\0sallyport-step-uid-${first + n}` }, () => resolve(server));
    })));
    const pool = await uidPool({ first: first + 7, last: first + 8 });
    const claimed = [await pool.claim(), await pool.claim()];
    await Promise.all(claimed.map((one) => one.release({ reusable: true })));
    for (const server of taken) server.close();
  });

  test('locks that others could hold are not relied on', async () => {
    const open = mkdtempSync(join(tmpdir(), 'sp-'));
    chmodSync(open, 0o777);
    await assert.rejects(poolIn(range, { locks: open }), { code: 'config.unsafe' });
    rmSync(open, { recursive: true });
  });

  test('a number that belongs to somebody is not usable', async () => {
    const nobody = await uidPool({ first: 65_534, last: 65_534 });
    assert.equal(nobody.size, 0);
    await assert.rejects(nobody.claim(), { code: 'runner.cannot' });
    assert.equal(await nobody.claimExactly(65_534), null);
  });

  for (const [guarantee, bad] of [
    ['system users are refused', { first: 0, last: 10 }],
    ['an empty range is refused', { first: 2_001, last: 2_000 }],
    ['an endless range is refused', { first: 2_000, last: 2_000_000 }],
    ['numbers beyond 31 bits are refused', { first: 2 ** 31 - 5, last: 2 ** 31 }],
  ] as const) {
    test(guarantee, () => assert.rejects(uidPool(bad), { code: 'config.invalid' }));
  }

  test('claims and releases in any order never share a user', async () => {
    const pool = await uidPool({ first: first + 6, last: first + 9 });
    await fc.assert(fc.asyncProperty(fc.array(fc.boolean(), { maxLength: 30 }), async (steps) => {
      const held: Awaited<ReturnType<typeof pool.claim>>[] = [];
      for (const claims of steps) {
        if (claims && held.length < 4) held.push(await pool.claim());
        else await held.shift()?.release({ reusable: true });
        assert.equal(new Set(held.map(({ uid }) => uid)).size, held.length);
      }
      await Promise.all(held.map((one) => one.release({ reusable: true })));
    }), { numRuns: 20 });
  });
});
