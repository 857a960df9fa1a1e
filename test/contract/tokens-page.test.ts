/** docs/tokens-out.md names every claim and every function there is, and its connectors are good documents. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { cloudFunctions } from '#features/clouds/feature.ts';
import { claimNames } from '#features/mint/claims.ts';
import { getJwt } from '#features/mint/feature.ts';
import { createKinds } from '../../src/app.ts';

const page = readFileSync(new URL('../../docs/tokens-out.md', import.meta.url), 'utf8');
const blocks = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]) => text!);

test('the page of tokens out names every claim of a token', () => {
  for (const name of claimNames) assert.ok(page.includes(`\`${name}\``), name);
});

test('the page of tokens out has every function that gives a credential', () => {
  for (const { name } of [getJwt, ...cloudFunctions]) assert.ok(page.includes(`<+${name}(`), name);
});

test('the connectors of the page of tokens out are good documents', () => {
  const connector = createKinds().kinds.get('connector')!;
  const documents = blocks.filter((text) => text.startsWith('kind: Connector')).flatMap((text) => parseAllDocuments(text).map((document) => document.toJS() as { spec: unknown }));
  assert.equal(documents.length, 5);
  for (const { spec } of documents) connector.spec.parse(spec);
  const policy = parseAllDocuments(blocks.find((text) => text.trimStart().startsWith('mintPolicy:'))!)[0]!.toJS() as object;
  connector.spec.parse({ ...(documents[0]!.spec as object), ...policy });
});
