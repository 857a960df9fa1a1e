/** `docs/claims-in-presets.md`: there is a recipe for every preset, it is taken as it stands, and the linter has nothing to say. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { presetNames } from '#features/trust/presets.ts';
import type { RemoteAnswer } from '#platform/remote.ts';
import { startTestServer } from '#test/server.ts';
import type { TestServer } from '#test/server.ts';

interface Document {
  readonly kind: string;
  readonly spec: { readonly preset?: string };
}

const page = readFileSync(new URL('../../docs/claims-in-presets.md', import.meta.url), 'utf8');
const recipes = [...page.matchAll(/```yaml\n(.*?)```/gs)].map(([, text]) => parseAllDocuments(text!).map((document) => document.toJS() as Document));

let server: TestServer;
before(async () => {
  server = await startTestServer();
  await server.apply([{ kind: 'Organization', identifier: 'payments', spec: {} }, { kind: 'Project', scope: 'payments', identifier: 'checkout', spec: {} }]);
});

const apply = (documents: readonly unknown[]): Promise<RemoteAnswer> => server.call({ method: 'POST', path: `${server.api}/manifests:apply`, body: { documents } });

describe('the page of recipes', () => {
  test('has one for every preset', () => {
    const documented = recipes.map(([issuer]) => issuer!.spec.preset!);
    assert.deepEqual(documented.toSorted(), presetNames.filter((name) => name !== 'generic').toSorted());
  });

  for (const recipe of recipes) {
    const [issuer] = recipe as [Document, Document];
    test(`${issuer.spec.preset}: is applied as it stands, without a warning`, async () => {
      const { status, body } = await apply(recipe);
      assert.equal(status, 200, JSON.stringify(body));
      assert.deepEqual((body as { warnings: unknown[] }).warnings, []);
    });
  }
});
