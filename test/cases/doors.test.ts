/** Every decision table at the doors of a server: check, explain and AuthZEN answer as the engine does, for the same reasons. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { before, describe, it, test } from 'node:test';
import { mode } from '#test/mode.ts';
import { seed } from '#test/seed.ts';
import { startTestServer } from '#test/server.ts';
import type { Door, DoorAnswer } from './doors.ts';
import { ask, doorNames, openDoors } from './doors.ts';
import { testKinds } from './stand-ins.ts';
import type { Case } from './world.ts';
import { buildWorld, readCaseFile } from './world.ts';

const folder = new URL('./access/', import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith('.yaml')).sort().map((name) => ({ name, file: readCaseFile(new URL(name, folder).pathname) }));
/** An error is of the one case, and told there. */
const answers = new Map<Case, Readonly<Partial<Record<Door, DoorAnswer | Error>>>>();
/** Explain reads questions as check does and writes a row for each; unless there is time, it is asked every third, the seed says which. */
const sampled = mode === 'short' ? 3 : 1;
const wholeDoors = doorNames.filter((door) => door !== 'explain' || sampled === 1);

assert.ok(files.length > 0, 'there are decision tables');

before(async () => {
  // Nobody reads the audit, and there is no other node: looking for both twenty times a second would be most of the work.
  const server = await startTestServer({ settings: { requestBurst: 100_000, requestsPerSecond: 10_000, sequencerMs: 1_000, accessPollMs: 500 } });
  let number = seed;
  for (const { name, file } of files) {
    const doors = await openDoors(server, name.replace('.yaml', '').replaceAll('-', '_'), file, buildWorld(file, testKinds));
    for (const asked of file.cases) {
      const isSampled = number++ % sampled === 0;
      const asking = doorNames.filter((door) => door !== 'explain' || isSampled).map(async (door) => [door, await ask(doors, door, asked).catch((error: Error) => error)] as const);
      answers.set(asked, Object.fromEntries(await Promise.all(asking)));
    }
  }
});

function assertAgrees(asked: Case, answer: DoorAnswer | Error): void {
  if (answer instanceof Error) throw answer;
  if (answer.allowed === null) return;
  const allowed = asked.denied === undefined;
  assert.equal(answer.allowed, allowed);
  if (answer.reason === null) return;
  const { code, via, through } = answer.reason;
  if (allowed) assert.deepEqual({ code, via, through }, { code: 'allowed', via: asked.allowed, through: asked.through ?? [] });
  else assert.equal(code, asked.denied);
}

for (const { name, file } of files) {
  describe(`${name}: ${file.about}`, () => {
    for (const asked of file.cases) {
      it(asked.it, () => {
        for (const [door, answer] of Object.entries(answers.get(asked)!)) {
          try {
            assertAgrees(asked, answer);
          } catch (error) {
            throw new Error(`at ${door}`, { cause: error });
          }
        }
      });
    }
  });
}

describe('what cannot be asked, or is not told', () => {
  const count = (door: Door, isMeant: (answer: DoorAnswer) => boolean): Record<string, number> => {
    const given = [...answers.values()].flatMap(({ [door]: answer }) => (answer === undefined || answer instanceof Error ? [] : [answer]));
    const reasons = given.filter(isMeant).map(({ why }) => why!);
    return Object.fromEntries([...Map.groupBy(reasons, (why) => why)].map(([why, all]) => [why, all.length] as const).toSorted());
  };

  test('is this and no more', () => {
    const told = Object.fromEntries(wholeDoors.map((door) => [door, {
      cannot: count(door, ({ allowed }) => allowed === null), untold: count(door, ({ allowed, why }) => allowed !== null && why !== null),
    }]));
    const question = {
      cannot: {
        'a scope that is not there is not found': 5,
        'a token has a bound at least': 1,
        'bounds of a session are asked for at its exchange': 1,
        'no role can sink below what grants it': 1,
        'only users, service accounts and sessions can be named': 5,
        'the exchange is refused: there is no such session': 3,
        'the kind is that of the permission': 2,
        'what is stored is asked about as it is stored': 5,
      },
      untold: { 'a session that gives nothing is nobody': 4, 'about itself a bounded caller is not told why not': 9 },
    };
    const evaluation = {
      cannot: {
        'a resource has an id': 4,
        'a token has a bound at least': 1,
        'bounds of a session are asked for at its exchange': 1,
        'no role can sink below what grants it': 1,
        'the exchange is refused: there is no such session': 3,
        'what is no principal of the account cannot be named': 1,
        'what is said of our own kinds does not count': 13,
        'what is stored is asked about as it is stored': 5,
      },
      untold: { 'a bounded caller may not explain': 14, 'a session that gives nothing is nobody': 4, 'what is unknown makes no question': 9 },
    };
    const expected = { check: question, explain: question, authzen: evaluation };
    assert.deepEqual(told, Object.fromEntries(wholeDoors.map((door) => [door, expected[door]])));
  });
});
