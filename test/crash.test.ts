/**
 * Drills: two runs are under way, and the server, the runner or the database is killed at a random moment and started
 * again. Whatever the moment, nothing that was committed is lost, no step runs twice, and every run ends.
 */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { ExecutionView } from '#features/executions/schema.ts';
import { isFinal } from '#features/pipelines/schema.ts';
import type { Status } from '#features/pipelines/schema.ts';
import { CrashWorld, patience, victims } from './crash-world.ts';
import type { Victim } from './crash-world.ts';
import { mode } from './mode.ts';
import { seed } from './seed.ts';
import { until } from './until.ts';

const drills = mode === 'crash' ? 50 : 10;
const runsPerDrill = 2;
const steps = ['one', 'left', 'right', 'last'] as const;
const wordsPerDrill = runsPerDrill * steps.length * 2;
const project = '/orgs/payments/projects/checkout';

let world: CrashWorld;
/** What has been seen as committed, and must stay. */
const known = { audit: new Map<string, string>(), ended: new Map<string, ExecutionView>(), logs: new Map<string, string>() };

before(async () => {
  world = await CrashWorld.open();
  const step = (name: string, more: Record<string, string> = {}) => ({
    step: {
      identifier: name, type: 'Run', timeout: '2m',
      spec: {
        shell: 'Bash',
        command: `${world.witness.script}say begin\necho "$STEP prints"\nsay end`,
        envVariables: { RUN: '<+pipeline.executionId>', STEP: name, ...more },
      },
    },
  });
  const execution = { steps: [step('one'), { parallel: [step('left'), step('right', { TOKEN: '<+secrets.getJWT("account.partner")>' })] }, step('last', { PASSWORD: '<+secrets.getValue("password")>' })] };
  const documents = [
    { kind: 'Organization', identifier: 'payments', spec: {} },
    { kind: 'Project', scope: 'payments', identifier: 'checkout', spec: {} },
    { kind: 'Secret', scope: 'payments/checkout', identifier: 'password', spec: { type: 'text', value: 'correct-horse-battery-staple' } },
    { kind: 'Connector', identifier: 'partner', spec: { type: 'jwt', audiences: ['https://partner.example'], usableFrom: ['payments/**'] } },
    { kind: 'Pipeline', scope: 'payments/checkout', identifier: 'drill', spec: { pipeline: { stages: [{ stage: { identifier: 'build', type: 'CI', spec: { execution } } }] } } },
  ];
  const applied = await world.ask({ method: 'POST', path: '/manifests:apply', body: { documents } });
  assert.equal(applied.status, 200, JSON.stringify(applied.body));
});

const random = numbers(seed);

for (let drill = 1; drill <= drills; drill += 1) {
  const victim = victims[drill % victims.length]!;
  const moment = { words: whole(wordsPerDrill - 1), looks: whole(12) };
  test(`kill -9 of the ${victim} (drill ${drill}): nothing committed is lost, no step runs twice, every run ends`, async (context) => {
    context.diagnostic(`seed ${seed}: after ${moment.words} words and ${moment.looks} looks`);
    try {
      await runDrill(victim, moment);
    } catch (error) {
      context.diagnostic(world.logs);
      throw error;
    }
  });
}

test('after all drills the trail is whole', async (context) => {
  const hit = [...known.ended.values()].filter(({ status }) => status !== 'Success').length;
  context.diagnostic(`${hit} of ${known.ended.size} runs lost a step`);
  const { rows, findings } = (await world.ask({ method: 'POST', path: '/audit:verify' })).body as { rows: number; findings: unknown[] };
  assert.deepEqual(findings, []);
  assert.ok(rows >= known.audit.size);
});

async function runDrill(victim: Victim, moment: { readonly words: number; readonly looks: number }): Promise<void> {
  const heardBefore = world.witness.words.length;
  const ids = await Promise.all(Array.from({ length: runsPerDrill }, start));
  await world.witness.heard(heardBefore + moment.words);
  for (let looks = 0; looks < moment.looks; looks += 1) await look(ids[looks % ids.length]!);
  known.audit = await trail();
  await world.killAndRestart(victim);
  for (const id of ids) known.ended.set(id, await until(async () => {
    const execution = await show(id);
    return isFinal(execution.status as Status) ? execution : null;
  }, `the end of ${id}`, patience));
  for (const id of ids) await checkRun(id);
  await checkCommitted();
}

async function start(): Promise<string> {
  const { status, body } = await world.ask({ method: 'POST', path: `${project}/executions`, body: { pipeline: 'drill' } });
  assert.equal(status, 202, JSON.stringify(body));
  return (body as ExecutionView).id;
}

async function show(id: string): Promise<ExecutionView> {
  const { status, body } = await world.ask({ method: 'GET', path: `${project}/executions/${id}` });
  assert.equal(status, 200, `the execution ${id} is lost: ${JSON.stringify(body)}`);
  return body as ExecutionView;
}

/** What the log says now must be how it begins for ever. */
async function look(id: string): Promise<void> {
  known.logs.set(id, await logOf(id));
}

/** Per step and stream, so that steps beside each other do not matter. */
async function logOf(id: string): Promise<string> {
  const { body } = await world.ask({ method: 'GET', path: `${project}/executions/${id}/logs` });
  const { chunks } = body as { chunks: { step: string; attempt: number; stream: string; text: string }[] };
  return chunks.map(({ step, attempt, stream, text }) => `${step} ${attempt} ${stream} ${text}`).toSorted().join('');
}

/** Every audit row by its id; its number may come later. */
async function trail(): Promise<Map<string, string>> {
  const rows = new Map<string, string>();
  for (let cursor: string | null = ''; cursor !== null; ) {
    const { status, body } = await world.ask({ method: 'GET', path: `/audit?limit=200${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}` });
    assert.equal(status, 200, JSON.stringify(body));
    const { items, next } = body as { items: { id: string }[]; next: string | null };
    for (const row of items) rows.set(row.id, JSON.stringify({ ...row, seq: null }));
    cursor = next;
  }
  return rows;
}

/** The witness and the record agree: what is said to have succeeded has run, what has run is not said to have been skipped. */
async function checkRun(id: string): Promise<void> {
  const execution = known.ended.get(id)!;
  for (const { identifier: step, status, attempts } of execution.stages[0]!.steps) {
    const heard = (says: string): number => world.witness.words.filter((word) => word.execution === id && word.step === step && word.says === says).length;
    const place = `step ${step} of ${id} (${status}, attempts ${attempts.map((attempt) => attempt.status).join(', ')})`;
    assert.ok(heard('begin') <= 1, `${place} ran ${heard('begin')} times`);
    if (status === 'Success') assert.deepEqual([heard('begin'), heard('end')], [1, 1], `${place} has not run to its end`);
    if (status === 'Skipped') assert.equal(heard('begin'), 0, `${place} has run`);
    assert.ok(isFinal(status as Status), `${place} has not ended`);
    if (status === 'Success') assert.ok((await logOf(id)).includes(`${step} prints`), `${place} has no log`);
  }
}

async function checkCommitted(): Promise<void> {
  for (const [id, execution] of known.ended) assert.deepEqual(await show(id), execution, `the execution ${id} is not what it was`);
  for (const [id, text] of known.logs) {
    const now = await logOf(id);
    for (const line of text.split('\n')) assert.ok(now.includes(line), `the log of ${id} has lost \`${line}\``);
  }
  const rows = await trail();
  for (const [id, row] of known.audit) assert.equal(rows.get(id), row, `the audit row ${id} is lost or changed`);
}

function whole(most: number): number {
  return Math.floor(random() * (most + 1));
}

/** The same numbers in [0, 1) for the same seed (a linear congruential generator). */
function numbers(from: number): () => number {
  let state = from >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
