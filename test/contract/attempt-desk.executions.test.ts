/** The desk of the server, whose attempts are steps of executions in a database. */
import { randomUUID } from 'node:crypto';
import { protocolLimits } from '#features/runners/schema.ts';
import { scopeApi } from '#test/api/principals.ts';
import type { TestServer } from '#test/server.ts';
import { startTestServer } from '#test/server.ts';
import { until } from '#test/until.ts';
import { attemptDeskContract } from './attempt-desk.ts';
import type { DeskWorld } from './attempt-desk.ts';

const scope = 'payments/checkout';
const leaseMs = 30_000;
let shared: Promise<TestServer> | undefined;

async function start(): Promise<TestServer> {
  const server = await startTestServer({ settings: { leaseMs } });
  await server.apply([
    { kind: 'Organization', identifier: 'payments', spec: {} }, { kind: 'Organization', identifier: 'platform', spec: {} },
    { kind: 'Project', scope: 'payments', identifier: 'checkout', spec: {} }, pipeline('plain', {}),
  ]);
  return server;
}

/** One server for all; each world begins with the end of what the one before has left. */
async function executionsWorld(): Promise<DeskWorld> {
  const server = await (shared ??= start());
  const accountId = server.account.id;
  const now = (): Date => server.clock.now();
  const runner = (runnerScope: string) => ({ runnerId: randomUUID(), scope: runnerScope, labels: [] });
  const call = async (path: string, body?: unknown): Promise<void> => {
    const answer = await server.call({ method: 'POST', path: `${scopeApi(server, scope)}/executions${path}`, ...(body === undefined ? {} : { body }) });
    if (answer.status >= 300) throw new Error(JSON.stringify(answer.body));
  };
  const open = async (): Promise<string[]> => (await server.sql<{ id: string }>('select id from execution where ended_at is null')).map(({ id }) => id);
  for (const id of await open()) await call(`/${id}/abort`);
  server.clock.advance(leaseMs + 1);
  await until(async () => (await open()).length === 0, 'the end of what the test before has left');
  return {
    desk: server.app.desk, accountId, leaseMs, logBytes: protocolLimits.logBytes, now,
    runners: { one: runner('/'), other: runner('payments'), elsewhere: runner('platform') },
    async advance(ms) {
      server.clock.advance(ms);
      await until(async () => {
        const rows = await server.sql(`select 1 from attempt where account_id = $1 and status in ('leased', 'started') and lease_until < $2`, [accountId, now()]);
        return rows.length === 0;
      }, 'leases that have run out to be noticed');
    },
    async offer(secret) {
      if (secret !== undefined) {
        await server.apply([{ kind: 'Secret', scope, identifier: secret.name, spec: { type: 'text', value: secret.value } }, pipeline('secretive', { SECRET: `<+secrets.getValue("${secret.name}")>` })]);
      }
      await call('', { pipeline: secret === undefined ? 'plain' : 'secretive' });
    },
    async cancel(attemptId) {
      const [row] = await server.sql<{ id: string }>('select execution_id as id from attempt where id = $1', [attemptId]);
      await call(`/${row!.id}/abort`);
    },
    async log(attemptId, stream) {
      const rows = await server.sql<{ bytes: Buffer }>('select bytes from log_segment where attempt_id = $1 and stream = $2 order by start_offset', [attemptId, stream]);
      return Buffer.concat(rows.map(({ bytes }) => bytes)).toString('utf8');
    },
  };
}

function pipeline(identifier: string, envVariables: Record<string, string>): Record<string, unknown> {
  const step = { identifier: 'only', type: 'Run', spec: { shell: 'Bash', command: 'true', envVariables } };
  return { kind: 'Pipeline', scope, identifier, spec: { pipeline: { stages: [{ stage: { identifier: 'build', type: 'CI', spec: { execution: { steps: [{ step }] } } } }] } } };
}

attemptDeskContract('steps of executions', executionsWorld);
