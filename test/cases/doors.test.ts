/** Every decision table at the doors of a server: check, explain and AuthZEN answer as the engine does, for the same reasons. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { before, describe, it, test } from 'node:test';
import { startTestServer } from '#test/server.ts';
import type { Door, DoorAnswer } from './doors.ts';
import { ask, doorNames, openDoors } from './doors.ts';
import { testKinds } from './stand-ins.ts';
import type { Case } from './world.ts';
import { buildWorld, readCaseFile } from './world.ts';

const folder = new URL('./access/', import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith('.yaml')).sort().map((name) => ({ name, file: readCaseFile(new URL(name, folder).pathname) }));
/** An error is of the one case, and told there. */
const answers = new Map<Case, Readonly<Record<Door, DoorAnswer | Error>>>();

assert.ok(files.length > 0, 'there are decision tables');

before(async () => {
  const server = await startTestServer({ settings: { requestBurst: 100_000, requestsPerSecond: 10_000 } });
  for (const { name, file } of files) {
    const doors = await openDoors(server, name.replace('.yaml', '').replaceAll('-', '_'), file, buildWorld(file, testKinds));
    for (const asked of file.cases) {
      const [check, explain, authzen] = await Promise.all(doorNames.map((door) => ask(doors, door, asked).catch((error: Error) => error)));
      answers.set(asked, { check: check!, explain: explain!, authzen: authzen! });
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
        for (const door of doorNames) {
          try {
            assertAgrees(asked, answers.get(asked)![door]);
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
    const given = [...answers.values()].flatMap(({ [door]: answer }) => (answer instanceof Error ? [] : [answer]));
    const reasons = given.filter(isMeant).map(({ why }) => why!);
    return Object.fromEntries([...Map.groupBy(reasons, (why) => why)].map(([why, all]) => [why, all.length] as const).toSorted());
  };

  test('is this and no more', () => {
    const told = Object.fromEntries(doorNames.map((door) => [door, {
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
    assert.deepEqual(told, { check: question, explain: question, authzen: evaluation });
  });
});
