/** What every desk of attempts promises to runners, whoever keeps the attempts and whatever lies between. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { AttemptDesk, AttemptRef, ClaimRequest, ClaimedAttempt, EndedResult, StepResult, Stream } from '#features/runners/schema.ts';
import { Refusal } from '#kernel/errors.ts';
import { runs } from '#test/mode.ts';

export interface DeskWorld {
  readonly desk: AttemptDesk;
  readonly accountId: string;
  /** All of them may have what `offer` makes, except `elsewhere`, whose scope is another. */
  readonly runners: Readonly<Record<'one' | 'other' | 'elsewhere', Pick<ClaimRequest, 'runnerId' | 'scope' | 'labels'>>>;
  readonly leaseMs: number;
  /** How much log an attempt may have; small enough to be written. */
  readonly logBytes: number;
  /** Absent where no secret can join an attempt. */
  readonly addSecret?: (attemptId: string, secret: { readonly name: string; readonly value: string }) => Promise<void>;
  /** The desk's time. */
  now(): Date;
  advance(ms: number): Promise<void>;
  /** Makes something that can be claimed, with one secret of this name and value in its payload. */
  offer(secret?: { readonly name: string; readonly value: string }): Promise<void>;
  /** Asks for the end of what `attemptId` does. */
  cancel(attemptId: string): Promise<void>;
  log(attemptId: string, stream: Stream): Promise<string>;
}

/** `open` makes a world with nothing to claim. */
export function attemptDeskContract(name: string, open: () => Promise<DeskWorld>): void {
  describe(`the desk of attempts: ${name}`, () => {
    for (const [guarantee, check] of Object.entries({ ...claims, ...leases, ...payloads, ...logs, ...results })) {
      test(guarantee, async () => check(await open()));
    }
  });
}

type Checks = Readonly<Record<string, (world: DeskWorld) => Promise<void>>>;
type Who = keyof DeskWorld['runners'];

function claim(world: DeskWorld, who: Who = 'one', claimId: string = randomUUID()): Promise<ClaimedAttempt | null> {
  return world.desk.claim({ accountId: world.accountId, ...world.runners[who], claimId, now: world.now() });
}

function refOf(world: DeskWorld, { attemptId, fence }: ClaimedAttempt, who: Who = 'one'): AttemptRef {
  return { accountId: world.accountId, runnerId: world.runners[who].runnerId, attemptId, fence };
}

async function leased(world: DeskWorld): Promise<AttemptRef> {
  await world.offer();
  const claimed = await claim(world);
  assert(claimed !== null, 'what was offered was not leased');
  return refOf(world, claimed);
}

async function started(world: DeskWorld): Promise<AttemptRef> {
  const ref = await leased(world);
  await world.desk.started(ref, world.now());
  return ref;
}

const noBytes = { bytes: 0, sha256: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855' };
const success: EndedResult = { exit: 'success', code: 0, signal: null, message: null, outputs: [], logs: { stdout: noBytes, stderr: noBytes, truncated: false } };

/** Every way to say something under a lease. */
const underLease: Readonly<Record<string, (world: DeskWorld, ref: AttemptRef) => Promise<unknown>>> = {
  payload: (world, ref) => world.desk.payload(ref, world.now()),
  masks: (world, ref) => world.desk.masks(ref, 0, world.now()),
  token: (world, ref) => world.desk.token(ref, { identity: 'CLOUD', audience: 'https://cloud.example' }, world.now()),
  started: (world, ref) => world.desk.started(ref, world.now()),
  heartbeat: (world, ref) => world.desk.heartbeat(ref, world.now()),
  log: (world, ref) => append(world, ref, 0, 'text'),
  result: (world, ref) => world.desk.result(ref, success, world.now()),
  refused: (world, ref) => world.desk.result(ref, { exit: 'refused', message: 'no' }, world.now()),
  lost: (world, ref) => world.desk.result(ref, { exit: 'lost', message: 'gone', logs: null }, world.now()),
};

async function allStale(world: DeskWorld, ref: AttemptRef): Promise<void> {
  for (const [name, say] of Object.entries(underLease)) await refuses(say(world, ref), 'runner.stale_fence', name);
}

function refuses(saying: Promise<unknown>, code: string, what: string): Promise<void> {
  return assert.rejects(saying, (error: unknown) => {
    assert(error instanceof Refusal, `${what}: ${String(error)}`);
    assert.equal(error.code, code, what);
    return true;
  });
}

function append(world: DeskWorld, ref: AttemptRef, offset: number, text: string, { stream = 'stdout' as Stream, maskSet = 1 } = {}) {
  return world.desk.appendLog(ref, { stream, offset, bytes: Buffer.from(text), maskSet }, world.now());
}

const claims: Checks = {
  'nothing to do is no lease': async (world) => {
    assert.equal(await claim(world), null);
  },
  'what is offered is leased once': async (world) => {
    await world.offer();
    const first = await claim(world);
    assert(first !== null);
    assert.equal(await claim(world), null);
    assert.equal(await claim(world, 'other'), null);
  },
  'a claim that is repeated gets the same lease, also once it has started, and it is not longer for it': async (world) => {
    await world.offer();
    await world.offer();
    const claimId = randomUUID();
    const first = await claim(world, 'one', claimId);
    const again = await claim(world, 'one', claimId);
    assert.deepEqual([again?.attemptId, again?.fence], [first?.attemptId, first?.fence]);
    assert(again!.leaseUntil.getTime() <= first!.leaseUntil.getTime() + 50, 'a repeated claim made the lease longer');
    await world.desk.started(refOf(world, first!), world.now());
    assert.equal((await claim(world, 'one', claimId))?.attemptId, first?.attemptId);
  },
  'the claim of another runner is another claim, whatever its id': async (world) => {
    await world.offer();
    await world.offer();
    const claimId = randomUUID();
    const [one, other] = [await claim(world, 'one', claimId), await claim(world, 'other', claimId)];
    assert.notEqual(one?.attemptId, other?.attemptId);
  },
  'the same claim at the same moment is one lease': async (world) => {
    await world.offer();
    await world.offer();
    const claimId = randomUUID();
    const both = await Promise.all([claim(world, 'one', claimId), claim(world, 'one', claimId)]);
    assert.equal(both[0]?.attemptId, both[1]?.attemptId);
    assert.equal(both[0]?.fence, both[1]?.fence);
  },
  'of many claims at the same moment as many get a lease as there is work, and never the same': async (world) => {
    for (let n = 0; n < 3; n += 1) await world.offer();
    const answers = await Promise.all(Array.from({ length: 8 }, (_, n) => claim(world, n % 2 === 0 ? 'one' : 'other')));
    const given = answers.flatMap((answer) => answer?.attemptId ?? []);
    assert.equal(given.length, 3);
    assert.equal(new Set(given).size, 3);
  },
  'a runner of another scope gets nothing': async (world) => {
    await world.offer();
    assert.equal(await claim(world, 'elsewhere'), null);
    assert.notEqual(await claim(world), null);
  },
  'a claim whose lease is over gets nothing, and new work only under another id': async (world) => {
    const ref = await leased(world);
    await world.desk.result(ref, { exit: 'refused', message: 'no' }, world.now());
    const claimId = randomUUID();
    const again = await claim(world, 'one', claimId);
    assert(again !== null);
    await world.desk.started(refOf(world, again), world.now());
    await world.desk.result(refOf(world, again), success, world.now());
    await world.offer();
    assert.equal(await claim(world, 'one', claimId), null);
    assert.notEqual(await claim(world), null);
  },
};

const leases: Checks = {
  'an older or newer fence, another runner and an unknown attempt are refused alike in every call': async (world) => {
    const ref = await started(world);
    await allStale(world, { ...ref, fence: ref.fence + 1 });
    if (ref.fence > 1) await allStale(world, { ...ref, fence: ref.fence - 1 });
    await allStale(world, { ...ref, runnerId: world.runners.other.runnerId });
    await allStale(world, { ...ref, attemptId: randomUUID() });
    assert.equal(await world.log(ref.attemptId, 'stdout'), '');
    await world.desk.heartbeat(ref, world.now());
  },
  'a lease that has run out is over in every call, whoever noticed': async (world) => {
    const [early, late] = [await leased(world), await started(world)];
    await world.advance(world.leaseMs + 1);
    await allStale(world, early);
    await allStale(world, late);
  },
  'a heartbeat makes a lease last, before the start and after it': async (world) => {
    const ref = await leased(world);
    for (const step of ['heartbeat', 'started', 'heartbeat', 'heartbeat'] as const) {
      await world.advance(world.leaseMs * 0.8);
      const { leaseUntil } = await world.desk[step](ref, world.now());
      assert(Math.abs(leaseUntil.getTime() - world.now().getTime() - world.leaseMs) < world.leaseMs / 4, `${step} does not renew the lease`);
    }
  },
  'what had not started when its lease ran out is offered again, under another lease': async (world) => {
    const old = await leased(world);
    await world.advance(world.leaseMs + 1);
    const next = await claim(world, 'other');
    assert(next !== null, 'it was not offered again');
    assert.notDeepEqual([next.attemptId, next.fence], [old.attemptId, old.fence]);
    await allStale(world, old);
    await world.desk.heartbeat(refOf(world, next, 'other'), world.now());
  },
  'what had started when its lease ran out is never offered again': async (world) => {
    await started(world);
    await world.advance(world.leaseMs + 1);
    assert.equal(await claim(world), null);
    assert.equal(await claim(world, 'other'), null);
  },
  'a start that is repeated is one start': async (world) => {
    const ref = await started(world);
    assert.equal((await world.desk.started(ref, world.now())).cancel, false);
  },
  'a running step is told that it is cancelled, and its result is still taken': async (world) => {
    const ref = await started(world);
    await world.cancel(ref.attemptId);
    assert.equal((await world.desk.heartbeat(ref, world.now())).cancel, true);
    await append(world, ref, 0, 'last words');
    await world.desk.result(ref, { ...success, exit: 'cancelled', code: null, signal: 'SIGTERM' }, world.now());
    assert.equal(await world.log(ref.attemptId, 'stdout'), 'last words');
  },
  'what is cancelled before its start cannot be started': async (world) => {
    const ref = await leased(world);
    await world.cancel(ref.attemptId);
    await allStale(world, ref);
  },
};

const payloads: Checks = {
  'the payload can be asked for again until the start, and not after it': async (world) => {
    await world.offer({ name: 'key', value: 'a secret value' });
    const claimed = await claim(world);
    const ref = refOf(world, claimed!);
    const first = await world.desk.payload(ref, world.now());
    assert(first.secrets.some(({ value }) => value === 'a secret value'));
    assert.deepEqual(await world.desk.payload(ref, world.now()), first);
    await world.desk.started(ref, world.now());
    await refuses(world.desk.payload(ref, world.now()), 'runner.protocol', 'payload after the start');
  },
  'before the start there is neither log nor end': async (world) => {
    const ref = await leased(world);
    await refuses(append(world, ref, 0, 'early'), 'runner.protocol', 'log before the start');
    await refuses(world.desk.result(ref, success, world.now()), 'runner.protocol', 'result before the start');
    await world.desk.started(ref, world.now());
    await refuses(world.desk.result(ref, { exit: 'refused', message: 'late' }, world.now()), 'runner.protocol', 'refusal after the start');
  },
  'secrets that join are told of, given out, and asked of every later chunk': async (world) => {
    if (world.addSecret === undefined) return;
    const ref = await started(world);
    const before = (await world.desk.heartbeat(ref, world.now())).maskSet;
    await append(world, ref, 0, 'one ', { maskSet: before });
    await world.addSecret(ref.attemptId, { name: 'minted', value: 'a token made later' });
    const after = (await world.desk.heartbeat(ref, world.now())).maskSet;
    assert(after > before);
    const refused = await append(world, ref, 4, 'two', { maskSet: before });
    assert.deepEqual(refused, { outcome: 'old_masks', nextOffset: 4, maskSet: after });
    assert.deepEqual(await world.desk.masks(ref, before, world.now()), { maskSet: after, secrets: [{ name: 'minted', value: 'a token made later' }] });
    assert.deepEqual((await world.desk.masks(ref, after, world.now())).secrets, []);
    await append(world, ref, 4, 'two', { maskSet: after });
    assert.equal(await world.log(ref.attemptId, 'stdout'), 'one two');
  },
};

const logs: Checks = {
  'chunks become one text, whatever is repeated, overlaps or comes too early': async (world) => {
    const ref = await started(world);
    const steps: readonly (readonly [offset: number, text: string, outcome: string, next: number])[] = [
      [0, 'abc', 'stored', 3],
      [0, 'abc', 'stored', 3],
      [2, 'cde', 'stored', 5],
      [1, 'bc', 'stored', 5],
      [6, 'gh', 'gap', 5],
      [5, '', 'stored', 5],
      [0, '', 'stored', 5],
      [0, 'abcdefgh', 'stored', 8],
      [9, '', 'gap', 8],
    ];
    for (const [offset, text, outcome, next] of steps) {
      const answer = await append(world, ref, offset, text);
      assert.deepEqual([answer.outcome, answer.nextOffset], [outcome, next], `${text} at ${offset}`);
    }
    assert.equal(await world.log(ref.attemptId, 'stdout'), 'abcdefgh');
  },
  'what was stored is not changed by what comes later': async (world) => {
    const ref = await started(world);
    await append(world, ref, 0, 'first');
    await append(world, ref, 0, 'FIRSTand more');
    assert.equal(await world.log(ref.attemptId, 'stdout'), 'firstand more');
  },
  'the two streams are two': async (world) => {
    const ref = await started(world);
    await append(world, ref, 0, 'out');
    assert.equal((await append(world, ref, 3, 'err', { stream: 'stderr' })).outcome, 'gap');
    await append(world, ref, 0, 'error', { stream: 'stderr' });
    assert.deepEqual([await world.log(ref.attemptId, 'stdout'), await world.log(ref.attemptId, 'stderr')], ['out', 'error']);
  },
  'any splitting with any repetition gives the same text': async (world) => {
    const text = Buffer.from('Zeile für Zeile\n'.repeat(20));
    const cut = fc.array(fc.record({ take: fc.integer({ min: 1, max: 60 }), back: fc.integer({ min: 0, max: 20 }) }), { minLength: 1, maxLength: 30 });
    await fc.assert(fc.asyncProperty(cut, async (cuts) => {
      const ref = await started(world);
      let sent = 0;
      for (const { take, back } of [...cuts, { take: text.length, back: 3 }]) {
        const offset = Math.max(0, sent - back);
        const bytes = text.subarray(offset, Math.min(text.length, sent + take));
        sent = (await world.desk.appendLog(ref, { stream: 'stdout', offset, bytes, maskSet: 1 }, world.now())).nextOffset;
      }
      assert.equal(await world.log(ref.attemptId, 'stdout'), text.toString('utf8'));
      await world.desk.result(ref, success, world.now());
    }), { numRuns: runs(5, 200) });
  },
  'a log has an end, and up to there nothing is missing': async (world) => {
    const ref = await started(world);
    const chunk = Buffer.alloc(Math.min(world.logBytes, 256 * 1024), 'x');
    let at = 0;
    for (; at + chunk.length <= world.logBytes; at += chunk.length) {
      const answer = await world.desk.appendLog(ref, { stream: 'stdout', offset: at, bytes: chunk, maskSet: 1 }, world.now());
      assert.equal(answer.outcome, 'stored');
    }
    const over = await world.desk.appendLog(ref, { stream: 'stderr', offset: 0, bytes: Buffer.alloc(world.logBytes - at + 1, 'y'), maskSet: 1 }, world.now());
    assert.deepEqual([over.outcome, over.nextOffset], ['full', 0]);
  },
};

const results: Checks = {
  'a result ends the lease': async (world) => {
    const ref = await started(world);
    await world.desk.result(ref, success, world.now());
    const { result, ...others } = underLease;
    for (const [name, say] of Object.entries(others)) await refuses(say(world, ref), 'runner.stale_fence', name);
    assert(result !== undefined);
    assert.equal(await claim(world), null);
  },
  'the same result again is taken, also when its lease would have run out since': async (world) => {
    const ref = await started(world);
    const said: StepResult = { ...success, exit: 'failure', code: 3 };
    await world.desk.result(ref, said, world.now());
    await world.desk.result(ref, said, world.now());
    await world.advance(world.leaseMs + 1);
    await world.desk.result(ref, said, world.now());
    await refuses(world.desk.result({ ...ref, runnerId: world.runners.other.runnerId }, said, world.now()), 'runner.stale_fence', 'repeated by another runner');
  },
  'the same result at the same moment is one result': async (world) => {
    const ref = await started(world);
    await Promise.all([world.desk.result(ref, success, world.now()), world.desk.result(ref, success, world.now())]);
  },
  'another result under the same fence is refused': async (world) => {
    const ref = await started(world);
    await world.desk.result(ref, success, world.now());
    await refuses(world.desk.result(ref, { ...success, exit: 'failure', code: 1 }, world.now()), 'runner.stale_fence', 'a second result');
  },
  'what a runner refuses before the start is offered again': async (world) => {
    const ref = await leased(world);
    await world.desk.result(ref, { exit: 'refused', message: 'no such shell' }, world.now());
    const next = await claim(world, 'other');
    assert(next !== null);
    await allStale(world, { ...ref, fence: ref.fence + 100 });
  },
  'what is lost before its start is offered again, what is lost after it is not': async (world) => {
    const early = await leased(world);
    await world.desk.result(early, { exit: 'lost', message: 'the runner ended', logs: null }, world.now());
    const next = await claim(world);
    assert(next !== null);
    await world.desk.started(refOf(world, next), world.now());
    await world.desk.result(refOf(world, next), { exit: 'lost', message: 'the runner ended', logs: null }, world.now());
    assert.equal(await claim(world), null);
  },
};
