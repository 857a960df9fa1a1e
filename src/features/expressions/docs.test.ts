import { test } from 'node:test';
import { ok } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { functions } from './example-world.ts';
import { parseRuntimeInput } from './runtime-input.ts';
import { compileTemplate } from './template.ts';

const page = readFileSync(new URL('../../../docs/expressions.md', import.meta.url), 'utf8');
const examples = [...page.matchAll(/`([^`\n]*<\+[^`\n]*>[^`\n]*)`/g)].map((found) => found[1]!)
  .filter((text) => !text.includes('…'));

test('every expression the documentation shows can be read', () => {
  ok(examples.length >= 12, `${examples.length} examples found`);
  for (const text of examples) ok(parseRuntimeInput(text) ?? compileTemplate(text, { functions }));
});
