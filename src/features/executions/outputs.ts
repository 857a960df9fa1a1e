/** Outputs of steps. One that holds a secret, or is declared as one, is kept sealed; events and state have only where. */
import { planStep } from '#features/pipelines/feature.ts';
import type { State } from '#features/pipelines/feature.ts';
import type { EndedResult } from '#features/runners/schema.ts';
import { assert } from '#kernel/errors.ts';
import type { Randomness } from '#platform/clock.ts';
import type { Database, Tx } from '#platform/database/database.ts';
import type { Keyring } from '#platform/keyring.ts';
import type { NewEvent } from './engine.ts';
import type { Execution, Place } from './store.ts';

/** All outputs of an execution, as far as they are part of its state, which every event writes. */
export const maxOutputBytes = 2 * 1024 * 1024;

type OutputEvent = Extract<NewEvent, { type: 'attempt_ended' }>['outputs'][number];

export interface ReadyOutputs {
  readonly events: readonly OutputEvent[];
  readonly rows: readonly { readonly id: string; readonly sealed: Buffer }[];
}

export const noOutputs: ReadyOutputs = { events: [], rows: [] };

/** What the step declares of what it put out, each once. Key work: not for a transaction. */
export async function sealOutputs(services: { readonly keyring: Keyring; readonly randomness: Randomness }, step: { readonly execution: Execution; readonly stepUid: string }, result: EndedResult): Promise<ReadyOutputs> {
  const { execution } = step;
  const events: OutputEvent[] = [];
  const rows: { id: string; sealed: Buffer }[] = [];
  for (const declared of planStep(execution.state.plan, step.stepUid)?.outputs ?? []) {
    const output = result.outputs.find(({ name }) => name === declared.from);
    if (output === undefined) continue;
    if (output.secrets.length === 0 && !declared.secret) {
      events.push({ name: declared.name, value: { text: output.value }, secrets: [], untrusted: false });
      continue;
    }
    const id = services.randomness.uid();
    events.push({ name: declared.name, value: { sealed: id }, secrets: [id], untrusted: false });
    rows.push({ id, sealed: await services.keyring.seal(execution.accountId, context(execution.id, id), Buffer.from(output.value)) });
  }
  return { events, rows };
}

/** A uid in JSON: every output is kept with those of all secrets its step was given. */
const bytesOfUid = 40;

/** False when the execution would have more outputs in its state than `maxOutputBytes`. */
export function haveRoom({ steps }: State, stepUid: string, { events }: ReadyOutputs): boolean {
  const given = steps.find(({ uid }) => uid === stepUid)?.attempts.at(-1)?.taint.secrets ?? [];
  const fresh = events.map((output) => ({ ...output, secrets: [...output.secrets, ...given] }));
  const sizes = [...steps.flatMap((step) => step.outputs), ...fresh].map(({ value, secrets }) => ('text' in value ? Buffer.byteLength(value.text) : 0) + secrets.length * bytesOfUid);
  return sizes.reduce((sum, bytes) => sum + bytes, 0) <= maxOutputBytes;
}

export async function keepSealed(tx: Tx, { accountId, executionId }: Place, { rows }: ReadyOutputs, now: Date): Promise<void> {
  if (rows.length === 0) return;
  await tx.insertInto('sealed_output').values(rows.map((row) => ({ account_id: accountId, execution_id: executionId, ...row, created_at: now }))).execute();
}

/** For delivery to a later step of the same execution alone. */
export async function openOutput(services: { readonly database: Database; readonly keyring: Keyring }, { accountId, executionId }: Place, id: string): Promise<string> {
  const row = await services.database.read.selectFrom('sealed_output').select('sealed')
    .where('account_id', '=', accountId).where('execution_id', '=', executionId).where('id', '=', id).executeTakeFirst();
  assert(row !== undefined, 'a sealed output of the state is not stored');
  return (await services.keyring.open(accountId, context(executionId, id), row.sealed)).toString('utf8');
}

function context(executionId: string, id: string): string {
  return `output:${executionId}:${id}`;
}
