import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';

let server: TestServer;
before(async () => void (server = await startTestServer()));

test('what is applied is there, and applying it again changes nothing', async () => {
  const documents = [{ kind: 'Organization', identifier: 'payments', spec: {} }, { kind: 'Project', scope: 'payments', identifier: 'checkout', spec: {} }];
  await server.apply(documents);
  const again = await server.apply(documents);
  assert.deepEqual((again.body as { changes: { action: string }[] }).changes.map((change) => change.action), ['unchanged', 'unchanged']);
});
