/** The desk that executions keep, on the database: the same promises as every desk. */
import { randomUUID } from 'node:crypto';
import { before } from 'node:test';
import type { Stream } from '#features/runners/schema.ts';
import { protocolLimits } from '#features/runners/schema.ts';
import { Runs, checkout, pipeline, runWorld, step } from '#test/api/runs.ts';
import { startTestServer } from '#test/server.ts';
import { attemptDeskContract } from './attempt-desk.ts';
import type { DeskWorld } from './attempt-desk.ts';

/** Long enough for the longest test; time goes on only as the tests say. */
const leaseMs = 30_000;

let runs: Runs;
before(async () => {
  runs = new Runs(await startTestServer({ settings: { leaseMs } }));
  await runs.server.apply([...runWorld, pipeline('plain', { build: [step('only')] })]);
});

const runner = (scope: string) => ({ runnerId: randomUUID(), scope, labels: [] });
const runners = { one: runner('/'), other: runner('payments'), elsewhere: runner('platform') };

async function open(): Promise<DeskWorld> {
  // What a test before holds is offered again when its lease runs out: let that be now.
  await runs.pass(leaseMs + 1);
  await runs.drain();
  const { server } = runs;
  return {
    desk: server.app.desk, accountId: server.account.id, runners, leaseMs, logBytes: protocolLimits.logBytes,
    now: () => runs.now(),
    advance: (ms) => runs.pass(ms),
    async offer(secret) {
      if (secret === undefined) return void (await runs.start('plain'));
      await server.apply([
        { kind: 'Secret', scope: checkout, identifier: secret.name, spec: { type: 'text', value: secret.value } },
        pipeline('secretive', { build: [step('only', { env: { KEY: `<+secrets.getValue("${secret.name}")>` } })] }),
      ]);
      await runs.start('secretive');
    },
    async cancel(attemptId) {
      const [row] = await server.sql<{ id: string }>('select execution_id as id from attempt where id = $1', [attemptId]);
      await runs.call({ scope: checkout, id: row!.id }, { below: '/abort' });
    },
    async log(attemptId, stream: Stream) {
      const rows = await server.sql<{ bytes: Buffer }>('select bytes from log_segment where attempt_id = $1 and stream = $2 order by start_offset', [attemptId, stream]);
      return Buffer.concat(rows.map(({ bytes }) => bytes)).toString('utf8');
    },
  };
}

attemptDeskContract('of executions', open);
