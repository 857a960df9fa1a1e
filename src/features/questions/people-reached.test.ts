/** Lists of groups read as one against asking everybody in turn: random accounts, any subjects. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { isUnder } from '#features/access/feature.ts';
import { History } from '#test/access/history.ts';
import { Random } from '#test/access/random.ts';
import { runs } from '#test/mode.ts';
import { seed } from '#test/seed.ts';
import { createKinds } from '../../app.ts';
import { peopleInOrder } from './people-in-order.ts';
import { peopleReached } from './people-reached.ts';

const kinds = createKinds();
const types = ['service_account', 'user'] as const;

it(`whoever subjects are or contain is told in order, however few may be listed (seed ${seed})`, () => {
  for (let round = 0; round < runs(40, 1_000); round++) {
    const history = new History(kinds, new Random(seed + round * 7_919));
    const { world, random } = history;
    for (let i = 0; i < 4; i++) {
      const all = ['user', 'service_account', 'user_group', 'role'].flatMap((kind) => [...world.list(kind)].map(({ uid }) => uid));
      const subjects = new Set(all.filter(() => random.chance(0.2)));
      for (const type of types) {
        const under = peopleInOrder(world, type).filter(({ entry }) => isUnder(world, entry, subjects)).map(({ path }) => path);
        for (const most of [undefined, { alone: 0, listed: 100 }, { alone: 100, listed: 0 }, { alone: 1, listed: 1 }]) {
          const after = random.chance(0.5) ? null : (under[random.whole(Math.max(1, under.length))] ?? null);
          const told = [...peopleReached(world, type, { subjects, after }, most)].map(({ path }) => path);
          assert.deepEqual(told, [...new Set(told)].toSorted(), `seed ${seed}, round ${round}: not in order, or twice`);
          assert.deepEqual(under.filter((path) => after === null || path > after).filter((path) => !told.includes(path)), [], `seed ${seed}, round ${round}: ${JSON.stringify([...subjects])} left out`);
          const reached = [...peopleReached(world, type, { subjects, after }, { alone: 0, listed: 0 })].filter((one) => one.isReached).map(({ path }) => path);
          assert.deepEqual(reached.filter((path) => !told.includes(path)), []);
        }
      }
      history.commit(history.change(4));
    }
  }
});
