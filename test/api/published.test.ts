import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { manifestBody } from '#features/resources/schema.ts';
import { apiVersion, openApi } from '#surfaces/openapi.ts';
import { manifestSchemas } from '#surfaces/schemas.ts';
import type { TestServer } from '../server.ts';
import { startTestServer } from '../server.ts';

let server: TestServer;
before(async () => {
  server = await startTestServer();
});
after(() => server.stop());

const read = (path: string) => server.call({ method: 'GET', path, token: null });
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

test('200: everybody may read the description of the API this server offers', async () => {
  const answer = await read('/openapi.json');
  assert.equal(answer.status, 200);
  assert.equal(answer.headers['cache-control'], 'public, max-age=300');
  const { kinds, operations } = server.app;
  assert.deepEqual(answer.body, plain(openApi(operations, { version: apiVersion, kinds })));
});

test('200: everybody may read the schema of each kind, and that of any kind', async () => {
  for (const [name, schema] of manifestSchemas(server.app.kinds, manifestBody)) {
    const answer = await read(`/schemas/${name}.json`);
    assert.equal(answer.status, 200, name);
    assert.match(answer.headers['content-type']!, /^application\/schema\+json/);
    assert.deepEqual(answer.body, plain(schema), name);
  }
});

for (const name of ['Roll', 'role', '__proto__', 'constructor', '..%2f..%2fpackage', '']) {
  test(`404: there is no schema \`${name}\``, async () => {
    const answer = await read(`/schemas/${name}.json`);
    assert.equal(answer.status, 404);
    assert.equal((answer.body as { code: string }).code, 'access.not_found');
  });
}

test('400: a parameter nobody knows is refused', async () => {
  assert.equal((await read('/schemas/Role.json?pretty=1')).status, 400);
  assert.equal((await read('/openapi.json?pretty=1')).status, 400);
});
