/** Every decision table, answered by the engine itself. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { describe, it } from 'node:test';
import { evaluate } from '#features/access/feature.ts';
import type { Decision } from '#kernel/decision.ts';
import { testKinds } from './stand-ins.ts';
import type { BuiltWorld, Case, CaseAnswer } from './world.ts';
import { askerOf, buildWorld, faultsOf, pathOfUid, questionsOf, readCaseFile } from './world.ts';

const folder = new URL('./access/', import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith('.yaml')).sort();

assert.ok(files.length > 0, 'there are decision tables');

/** The first question that is denied answers for all. */
function answer(built: BuiltWorld, asked: Case): CaseAnswer {
  const asker = askerOf(built, asked);
  const decisions = questionsOf(built, asked).map((question) => evaluate(built.world, built.kinds, asker, question, built.now));
  const decision: Decision = decisions.find(({ allowed }) => !allowed) ?? decisions[0]!;
  const reason = decision.reasons[0]!;
  return {
    allowed: decision.allowed,
    code: reason.code,
    via: reason.binding === undefined ? null : pathOfUid(reason.binding),
    through: (reason.groupPath ?? []).map(pathOfUid),
  };
}

it('every numbered rule of a decision has a table', () => {
  const abouts = files.map((name) => readCaseFile(new URL(name, folder).pathname).about);
  const numbers = abouts.flatMap((about) => /^rules? ([\d, and]+)/.exec(about)?.[1]?.match(/\d+/g) ?? []);
  assert.deepEqual([...new Set(numbers.map(Number))].sort((a, b) => a - b), Array.from({ length: 13 }, (_, i) => i + 1));
});

for (const name of files) {
  const file = readCaseFile(new URL(name, folder).pathname);
  describe(`${name}: ${file.about}`, () => {
    const built = buildWorld(file, testKinds);
    for (const asked of file.cases) {
      it(asked.it, () => {
        assert.notEqual(asked.allowed === undefined, asked.denied === undefined, 'a case expects one answer');
        const { allowed, code, via, through } = answer(built, asked);
        if (asked.denied !== undefined) {
          assert.deepEqual({ allowed, code }, { allowed: false, code: asked.denied });
          return;
        }
        assert.deepEqual({ allowed, code, via, through }, { allowed: true, code: 'allowed', via: asked.allowed, through: asked.through ?? [] });
      });
    }
    for (const { it: sentence, apply, at, says } of file.refused) {
      it(sentence, () => {
        const faults = faultsOf(built.world, testKinds, apply);
        const found = faults.find((fault) => fault.pointer === at);
        assert.ok(found?.message.includes(says), `expected \`${says}\` at \`${at}\`, got ${JSON.stringify(faults)}`);
      });
    }
  });
}
