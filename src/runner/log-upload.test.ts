import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { protocolLimits } from '#features/runners/schema.ts';
import type { LogPosition, MaskAddition } from '#features/runners/schema.ts';
import { runs } from '#test/mode.ts';
import { AttemptMasks } from './attempt-masks.ts';
import { LogSpool } from './log-spool.ts';
import type { LogRoom } from './log-spool.ts';
import { uploadLog } from './log-upload.ts';
import type { Chunk } from './transport.ts';

const never = new AbortController().signal;

async function withSpool(work: (spool: LogSpool, masks: AttemptMasks, room: LogRoom, path: string) => Promise<void>, room: LogRoom = { bytes: 1_000_000, truncated: false }): Promise<void> {
  const path = join(tmpdir(), `sp-spool-${randomUUID()}`);
  const masks = new AttemptMasks({ maskSet: 1, secrets: [] });
  const spool = await LogSpool.create({ path, masks, room });
  try {
    await work(spool, masks, room, path);
  } finally {
    await spool.close();
    rmSync(path, { force: true });
  }
}

/** A server that keeps a stream, and forgets, loses answers and learns of secrets as the test says. */
class Keeper {
  stored = Buffer.alloc(0);
  maskSet = 1;
  readonly secrets: { name: string; value: string }[] = [];
  readonly take: (chunk: Chunk) => LogPosition;

  constructor(disturb: (keeper: Keeper, chunk: Chunk) => void = () => {}) {
    this.take = (chunk) => {
      disturb(this, chunk);
      const position = (outcome: LogPosition['outcome']): LogPosition => ({ outcome, nextOffset: this.stored.length, maskSet: this.maskSet });
      if (chunk.maskSet < this.maskSet) return position('old_masks');
      if (chunk.offset > this.stored.length) return position('gap');
      this.stored = Buffer.concat([this.stored, chunk.bytes.subarray(this.stored.length - chunk.offset)]);
      return position('stored');
    };
  }

  add(value: string): void {
    this.maskSet += 1;
    this.secrets.push({ name: `secret ${this.maskSet}`, value });
  }

  readonly masksAfter = async (after: number): Promise<MaskAddition> => ({ maskSet: this.maskSet, secrets: this.secrets.slice(after - 1) });
}

function upload(spool: LogSpool, masks: AttemptMasks | null, keeper: Keeper): Promise<number> {
  return uploadLog({
    stream: 'stdout', spool, masks, newestMaskSet: () => 0, signal: never,
    renewMasks: (known) => known.renew(keeper.masksAfter),
    send: async (chunk) => keeper.take({ ...chunk, bytes: Buffer.from(chunk.bytes) }),
  });
}

test('whatever part of a log the server forgets, all of it is there in the end', async () => {
  const disturbance = fc.array(fc.integer({ min: 0, max: 4_000 }), { maxLength: 5 });
  await fc.assert(fc.asyncProperty(disturbance, fc.integer({ min: 0, max: 4_000 }), async (forgets, length) => {
    await withSpool(async (spool, masks) => {
      const text = Buffer.from(Array.from({ length }, (_, n) => String.fromCharCode(97 + (n % 26))).join(''));
      const pending = [...forgets];
      const keeper = new Keeper((self) => {
        const keep = pending.shift();
        if (keep !== undefined) self.stored = self.stored.subarray(0, keep);
      });
      await spool.write(text);
      await spool.end();
      await upload(spool, masks, keeper);
      assert.equal(keeper.stored.toString(), text.toString());
      assert.deepEqual(await spool.total(), { bytes: text.length, sha256: createHash('sha256').update(text).digest('hex') });
    });
  }), { numRuns: runs(20, 500) });
});

test('chunks of a log are never larger than the protocol allows', async () => {
  await withSpool(async (spool, masks) => {
    const sizes: number[] = [];
    const keeper = new Keeper((_self, chunk) => sizes.push(chunk.bytes.length));
    await spool.write(Buffer.alloc(700_000, 'x'));
    await spool.end();
    await upload(spool, masks, keeper);
    assert.deepEqual(sizes, [protocolLimits.chunkBytes, protocolLimits.chunkBytes, 700_000 - 2 * protocolLimits.chunkBytes]);
  });
});

test('a chunk refused for its masks is masked anew, and so is everything behind it', async () => {
  await withSpool(async (spool, masks) => {
    const keeper = new Keeper((self) => {
      if (self.maskSet === 1) self.add('joined later');
    });
    await spool.write(Buffer.from('it is joined later, yes: joined later'));
    const uploading = upload(spool, masks, keeper);
    await spool.write(Buffer.from(' and joined '));
    await spool.write(Buffer.from('later again'));
    await spool.end();
    await uploading;
    assert.equal(keeper.stored.toString(), 'it is ***, yes: *** and *** again');
    assert.equal((await spool.total()).bytes, keeper.stored.length);
  });
});

test('what was stored under older masks before the refusal arrives stays, what follows is masked anew', async () => {
  await withSpool(async (spool, masks) => {
    let refusals = 0;
    const keeper = new Keeper((self, chunk) => {
      // The first chunk was stored, its answer lost, and a secret joined before it came again.
      if (chunk.bytes.length > 0 && self.maskSet === 1) {
        self.stored = Buffer.from(chunk.bytes);
        self.add('joined later');
        refusals += 1;
      }
    });
    await spool.write(Buffer.from('already there. '));
    const uploading = upload(spool, masks, keeper);
    await spool.write(Buffer.from('joined later'));
    await spool.end();
    await uploading;
    assert.deepEqual([refusals, keeper.stored.toString().replace('joined later', '***')], [1, 'already there. ***']);
  });
});

test('a log that is full ends with a notice, keeps within its room and says that it was cut', async () => {
  await withSpool(async (spool, masks, room) => {
    const keeper = new Keeper();
    await spool.write(Buffer.from('x'.repeat(400)));
    await spool.write(Buffer.from('y'.repeat(400)));
    await spool.write(Buffer.from('z'));
    await spool.end();
    await upload(spool, masks, keeper);
    assert.equal(room.truncated, true);
    assert.equal(keeper.stored.length, 500);
    assert.match(keeper.stored.toString(), /^x{400}y+\n\[sallyport\] the log is full; what follows was left out\n$/);
  }, { bytes: 500, truncated: false });
});

test('a spool of a runner that died is brought from where the server is', async () => {
  await withSpool(async (spool, masks, _room, path) => {
    const keeper = new Keeper();
    await spool.write(Buffer.from('first and second'));
    keeper.stored = Buffer.from('first ');
    assert(masks.version === 1);
    const left = await LogSpool.reopen(path, 1);
    assert(left !== null);
    await upload(left, null, keeper);
    await left.close();
    assert.equal(keeper.stored.toString(), 'first and second');
  });
});

test('a spool of a runner that died is given up where newer masks are wanted', async () => {
  await withSpool(async (spool, _masks, _room, path) => {
    const keeper = new Keeper();
    keeper.add('nobody knows it any more');
    await spool.write(Buffer.from('nobody knows it any more'));
    const left = await LogSpool.reopen(path, 1);
    assert(left !== null);
    await upload(left, null, keeper);
    await left.close();
    assert.equal(keeper.stored.length, 0);
  });
});

test('a server that claims to have more than there is gets nothing', async () => {
  await withSpool(async (spool, masks) => {
    const keeper = new Keeper((self) => (self.stored = Buffer.from('somebody else wrote this')));
    await spool.write(Buffer.from('mine'));
    await spool.end();
    await assert.rejects(upload(spool, masks, keeper), { code: 'runner.protocol' });
  });
});
