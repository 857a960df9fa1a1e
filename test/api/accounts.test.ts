import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { createAccount, findAccount, listAccounts, setAccountDisabled } from '#features/tenancy/feature.ts';
import { systemRandomness } from '#platform/clock.ts';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { until } from '#test/until.ts';
import { problem } from './answers.ts';
import { auditMark, told } from './audit-rows.ts';

let server: TestServer;
before(async () => void (server = await startTestServer()));

const services = () => ({ database: server.database, clock: server.clock, randomness: systemRandomness });

describe('an account', () => {
  test('is made once, by the operator, with its row in its own trail', async () => {
    const since = await auditMark(server);
    const id = await createAccount(services(), 'tenant', 'A tenant');
    assert.notEqual(id, null);
    assert.equal(await createAccount(services(), 'tenant', null), null, 'there is one of this name');
    await assert.rejects(createAccount(services(), 'no account', null), { code: 'request.invalid' });
    assert.deepEqual(told(await since()), [{ action: 'account.create', outcome: 'success', actor: 'system:operator', resource: 'account tenant', scope: '/' }]);
    assert.deepEqual((await listAccounts(server.database)).map(({ identifier }) => identifier), ['default', 'tenant']);
    assert.equal((await findAccount(server.database, 'tenant'))?.name, 'A tenant');
  });

  test('knows nothing of another: neither its resources nor its trail nor its principals', async () => {
    const other = await server.addAccount('other');
    await server.apply([{ kind: 'Organization', identifier: 'mine', spec: {} }]);
    const ask = (path: string) => server.call({ method: 'GET', path: `${other.api}/${path}`, token: other.adminToken });
    assert.deepEqual(((await ask('organizations')).body as { items: unknown[] }).items, []);
    assert.doesNotMatch(JSON.stringify((await ask('audit?limit=200')).body), /mine/);
    problem(await ask('orgs/mine/roles'), 404, 'access.not_found');
    problem(await server.call({ method: 'GET', path: `${other.api}/organizations` }), 401, 'credential.invalid');
  });

  test('that is disabled lets nobody in on any node, and lets everybody in again when it is enabled', async () => {
    const node = await startTestServer({ beside: server });
    const { api, adminToken } = await server.addAccount('resting');
    const statuses = () => Promise.all([server, node].map(async (one) => (await one.call({ method: 'GET', path: `${api}/organizations`, token: adminToken })).status));
    assert.deepEqual(await statuses(), [200, 200]);
    await setAccountDisabled(services(), 'resting', true);
    await until(async () => String(await statuses()) === '401,401', 'both nodes refuse', { patienceMs: 1_000 });
    await setAccountDisabled(services(), 'resting', false);
    await until(async () => String(await statuses()) === '200,200', 'both nodes serve again', { patienceMs: 1_000 });
    await assert.rejects(setAccountDisabled(services(), 'nobody', true), { code: 'access.not_found' });
  });
});
