/** The examples of `docs/cel.md` are taken where they say, and its numbers are those of the code. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { z } from 'zod';
import { selectorList } from '#features/access/schema.ts';
import { claimMappingSpec } from '#features/trust/schema.ts';
import { celLimits, maxSteps } from '#kernel/cel.ts';

const page = readFileSync(new URL('../../docs/cel.md', import.meta.url), 'utf8');
const examples = z.array(z.strictObject({ condition: z.string() })).parse(parse(/```yaml\n(.*?)```/s.exec(page)![1]!));

for (const { condition } of examples) {
  test(`taken: ${condition}`, () => {
    const isAboutToken = /^(?!.*(?:resource|principal)\.)/.test(condition);
    const spec = isAboutToken ? claimMappingSpec.shape.condition : selectorList.element;
    const result = spec.safeParse(isAboutToken ? condition : { type: 'secret', condition });
    assert.ok(result.success, JSON.stringify(result.error?.issues));
  });
}

test('there are examples, and they are bounded as the page says', () => {
  assert.ok(examples.length >= 5);
  for (const count of [celLimits.characters, celLimits.nodes, celLimits.depth, celLimits.listElements, maxSteps]) {
    assert.ok(page.includes(count.toLocaleString('en')), `the page does not say ${count.toLocaleString('en')}`);
  }
});
