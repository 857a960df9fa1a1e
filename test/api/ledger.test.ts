/** The ledger of minted tokens: what an execution took, who used a connector, and what became of each. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { problem } from './answers.ts';
import { makeUser, scopeApi } from './principals.ts';
import { Runs, checkout, claimsIn, pipeline, runWorld, step } from './runs.ts';

interface Token {
  readonly id: string;
  readonly connector: string | null;
  readonly execution: string;
  readonly step: string;
  readonly fate: string;
}

let server: TestServer;
let runs: Runs;

before(async () => {
  server = await startTestServer();
  runs = new Runs(server);
  const env = { TOKEN: '<+secrets.getJWT("account.partner")>' };
  await server.apply([...runWorld, pipeline('asks', { build: [step('one', { env }), step('two', { env })] })]);
});

async function tokensAt(path: string, token?: string): Promise<Token[]> {
  const answer = await server.call({ method: 'GET', path: `${path}/tokens`, ...(token === undefined ? {} : { token }) });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return (answer.body as { items: Token[] }).items;
}

const ofConnector = (): string => `${scopeApi(server, '/')}/connectors/partner`;

describe('the ledger', () => {
  test('tells the tokens of an execution and of a connector, newest first, and what became of each', async () => {
    const run = await runs.start('asks');
    const path = `${scopeApi(server, checkout)}/executions/${run.id}`;
    const first = (await runs.lease())!;
    const { jti } = claimsIn((await runs.payload(first)).environment['TOKEN']);
    const [live] = await tokensAt(path);
    assert.deepEqual([live!.id, live!.connector, live!.execution, live!.step, live!.fate], [jti, 'partner', `${checkout}/${run.id}`, 'build.one', 'live']);
    await runs.begin(first);
    assert.equal((await tokensAt(path))[0]!.fate, 'live');
    await runs.end(first);
    await runs.nextPayload();
    const both = await tokensAt(path);
    assert.deepEqual(both.map((token) => [token.step, token.fate]), [['build.two', 'ended'], ['build.one', 'ended']]);
    assert.deepEqual((await tokensAt(ofConnector())).slice(0, 2), both);
    server.clock.advance(11 * 60_000);
    assert.deepEqual((await tokensAt(path)).map(({ fate }) => fate), ['expired', 'expired']);
    assert.ok(!JSON.stringify(both).includes('eyJ'));
  });

  test('comes in pages', async () => {
    const path = `${ofConnector()}/tokens`;
    const all = await tokensAt(ofConnector());
    const found: Token[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const { body } = await server.call({ method: 'GET', path: `${path}?limit=1${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}` });
      const page = body as { items: Token[]; next: string | null };
      found.push(...page.items);
      cursor = page.next;
    }
    assert.deepEqual(found, all);
  });

  test('of a connector is for those who may view it, of an execution for those who may see that', async () => {
    const [{ execution }] = (await tokensAt(ofConnector())) as [Token];
    const ofRun = `${scopeApi(server, checkout)}/executions/${execution.slice(execution.lastIndexOf('/') + 1)}`;
    const viewer = await makeUser(server, 'viewer', [{ role: 'project_viewer', scope: checkout, resourceGroup: 'all_project_level_resources' }]);
    const keeper = await makeUser(server, 'keeper', [{ role: 'account_viewer', scope: '/', resourceGroup: 'all_account_level_resources' }]);
    assert.equal((await tokensAt(ofRun, viewer.token)).length, 2);
    problem(await server.call({ method: 'GET', path: `${ofConnector()}/tokens`, token: viewer.token }), 404, 'access.not_found');
    assert.equal((await tokensAt(ofConnector(), keeper.token)).length, 2);
    problem(await server.call({ method: 'GET', path: `${ofRun}/tokens`, token: keeper.token }), 404, 'access.not_found');
  });
});
