/** What is noted of uses: each once a day, none lost while there is room, and never more than there is room for. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import type { Question } from '#kernel/decision.ts';
import { runs } from '#test/mode.ts';
import { seed } from '#test/seed.ts';
import type { RecorderServices, UseRecorder, User } from './recorder.ts';
import { dayText, recorderOf } from './recorder.ts';
import type { Use } from './seen-today.ts';
import { SeenToday } from './seen-today.ts';

const day = (number: number, ms = 0): Date => new Date(number * 86_400_000 + ms);
const user = (uid: string, changes: Partial<User> = {}): User => ({ accountId: 'a', principal: { type: 'user', uid, path: uid }, ...changes });
const session = (...mappings: string[]): User => ({
  accountId: 'a', principal: { type: 'workload', uid: 'issuer subject', path: 'tfc:platform' },
  workload: { sessionId: 's', issuerUid: 'i', issuer: 'https://issuer.example', subject: 'subject', claims: {}, mappings: mappings.map((mappingUid) => ({ mappingUid, version: 1, grants: [] })) },
});
const question = (permission: string, scope: string, identifier: string | null = null): Question => {
  return { permission, target: { kind: permission.split('.')[0]!, scope, identifier, tags: {}, attributes: {} } };
};
const line = ({ accountId, subjectUid, permission, scope, day: on }: Use): string => [accountId, subjectUid, permission, scope, dayText(on)].join(' ');

function recording(services: Partial<RecorderServices> = {}): { readonly uses: UseRecorder; readonly written: string[] } {
  const written: string[] = [];
  const write = async (uses: readonly Use[]): Promise<void> => void written.push(...uses.map(line));
  return { uses: recorderOf({ write, ...services }), written };
}

describe('a use is noted', () => {
  for (const [guarantee, who, asked, expected] of [
    ['of a user, with account, permission, scope and day', user('alice'), question('service.view', 'payments'), ['a alice service.view payments 1970-01-11']],
    ['of a service account', user('ci', { principal: { type: 'service_account', uid: 'ci', path: 'ci' } }), question('service.view', '/'), ['a ci service.view / 1970-01-11']],
    ['of a session under each mapping that it came by', session('m1', 'm2'), question('service.view', '/'), ['a m1 service.view / 1970-01-11', 'a m2 service.view / 1970-01-11']],
    ['of one that acts as another, for both', user('alice', { actor: { type: 'user', uid: 'helper', path: 'helper' } }), question('service.view', '/'), ['a alice service.view / 1970-01-11', 'a helper service.view / 1970-01-11']],
    ['of an organization in its own scope, which lies in the account', user('alice'), question('organization.edit', '/', 'payments'), ['a alice organization.edit payments 1970-01-11']],
    ['of a project in its own scope', user('alice'), question('project.edit', 'payments', 'checkout'), ['a alice project.edit payments/checkout 1970-01-11']],
    ['of organizations in general where they lie', user('alice'), question('organization.view', '/'), ['a alice organization.view / 1970-01-11']],
    ['of no runner and nothing of the system, which no binding names', user('r', { principal: { type: 'runner', uid: 'r', path: 'r' } }), question('service.view', '/'), []],
  ] as const) {
    it(guarantee, async () => {
      const { uses, written } = recording();
      uses.used(who, asked, day(10, 5));
      await uses.flush();
      assert.deepEqual(written, expected);
    });
  }

  it('once a day, until the last millisecond of it', async () => {
    const { uses, written } = recording();
    for (const ms of [0, 1, 86_399_999]) uses.used(user('alice'), question('service.view', '/'), day(10, ms));
    await uses.flush();
    uses.used(user('alice'), question('service.view', '/'), day(10));
    uses.used(user('alice'), question('service.view', '/'), day(11));
    // A clock that was set back says nothing new.
    uses.used(user('alice'), question('service.view', '/'), day(10));
    await uses.flush();
    assert.deepEqual(written, ['a alice service.view / 1970-01-11', 'a alice service.view / 1970-01-12']);
  });

  it('apart for accounts, subjects, permissions and scopes', async () => {
    const { uses, written } = recording();
    for (const who of [user('alice'), user('bob'), user('alice', { accountId: 'b' })]) {
      for (const permission of ['service.view', 'service.edit']) for (const scope of ['/', 'payments']) uses.used(who, question(permission, scope), day(1));
    }
    await uses.flush();
    assert.equal(new Set(written).size, 12);
  });
});

describe('when writing fails', () => {
  it('what was noted is kept and written by the next flush', async () => {
    const written: string[] = [];
    let broken = true;
    const { uses } = recording({
      write: async (some) => {
        if (broken) throw new Error('the database is away');
        written.push(...some.map(line));
      },
    });
    uses.used(user('alice'), question('service.view', '/'), day(1));
    await assert.rejects(uses.flush(), /away/);
    uses.used(user('alice'), question('service.edit', '/'), day(1));
    broken = false;
    await uses.flush();
    assert.deepEqual(written, ['a alice service.view / 1970-01-02', 'a alice service.edit / 1970-01-02']);
  });

  it('flood while the database is away: no more is kept than there is room for, and what found none is noted at its next use', async () => {
    let broken = true;
    const written = new Set<string>();
    const { uses } = recording({
      maxPending: 100,
      write: async (some) => {
        assert.ok(some.length <= 100);
        if (broken) throw new Error('the database is away');
        for (const use of some) written.add(line(use));
      },
    });
    const flood = (): void => {
      for (let i = 0; i < 1_000; i++) uses.used(user('alice'), question('service.view', `org${i}`), day(1));
    };
    flood();
    await assert.rejects(uses.flush());
    flood();
    broken = false;
    await uses.flush();
    assert.equal(written.size, 100);
    for (let again = 0; again < 10; again++) {
      flood();
      await uses.flush();
    }
    assert.equal(written.size, 1_000);
  });
});

describe('the memory of what was seen', () => {
  it('flood of distinct scopes: stays as large as it was, and the flood is written before it is time', async () => {
    const seen = new SeenToday(1_024);
    const { size } = seen;
    for (let i = 0; i < 50_000; i++) seen.add({ accountId: 'a', subjectUid: 'alice', permission: 'service.view', scope: `org${i}`, day: 1 });
    assert.equal(seen.size, size);
    const { uses, written } = recording({ seen: 64, maxPending: 1_000 });
    for (let i = 0; i < 500; i++) uses.used(user('alice'), question('service.view', `org${i}`), day(1));
    await turn();
    assert.equal(new Set(written).size, 500);
  });

  it('has what was added last, also where many share a place', () => {
    const seen = new SeenToday(1);
    for (let i = 0; i < 100; i++) {
      const use: Use = { accountId: 'a', subjectUid: 's', permission: 'p.view', scope: `scope${i}`, day: 1 };
      seen.add(use);
      assert.equal(seen.has('a', 's', 'p.view', use.scope, 1), true);
    }
    const held = Array.from({ length: 100 }, (_, i) => seen.has('a', 's', 'p.view', `scope${i}`, 1)).filter(Boolean).length;
    assert.equal(held, seen.size);
  });

  it(`whatever is used in whatever order: the last day of each is written, whatever was pushed out (seed ${seed})`, async () => {
    const use = fc.record({ who: fc.constantFrom('u1', 'u2', 'u3'), permission: fc.constantFrom('x.view', 'x.edit', 'y.view'), scope: fc.constantFrom('/', 'o', 'o/p', 'q'), day: fc.integer({ min: 1, max: 4 }), flushes: fc.boolean() });
    await fc.assert(fc.asyncProperty(fc.array(use, { maxLength: 60 }), fc.integer({ min: 1, max: 64 }), async (all, size) => {
      const lasts = new Map<string, number>();
      const write = async (some: readonly Use[]): Promise<void> => {
        for (const { subjectUid, permission, scope, day: on } of some) {
          const key = `${subjectUid} ${permission} ${scope}`;
          lasts.set(key, Math.max(lasts.get(key) ?? 0, on));
        }
      };
      const uses = recorderOf({ seen: size, write });
      const expected = new Map<string, number>();
      for (const { who, permission, scope, day: on, flushes } of all) {
        const key = `${who} ${permission} ${scope}`;
        expected.set(key, Math.max(expected.get(key) ?? 0, on));
        uses.used(user(who), question(permission, scope), day(on));
        if (flushes) await uses.flush();
      }
      await uses.flush();
      assert.deepEqual(lasts, expected);
    }), { seed, numRuns: runs(200, 5_000) });
  });
});
