/** The executions of a project that a caller may see. What they may not see is left out by the database. */
import { z } from 'zod';
import type { ResourceServices } from '#features/resources/feature.ts';
import type { AnyOperation } from '#kernel/operation.ts';
import type { Call } from '#platform/call.ts';
import { operation } from '#platform/call.ts';
import { momentKey, momentOf, page, pageOf } from '#platform/http/paged.ts';
import { attemptsOfAll } from './attempts.ts';
import type { ExecutionItem } from './schema.ts';
import { executionItem } from './schema.ts';
import { listHeads, loadExecutions } from './store.ts';
import { itemOf } from './view.ts';
import { listedRuns } from './visible.ts';

type ListServices = Pick<ResourceServices, 'database' | 'cursors'>;

/** Plans can be large; so many are in memory at once. */
const loadedAtOnce = 20;

export function listOperation(services: ListServices): AnyOperation {
  return operation({
    name: 'execution.list',
    summary: 'Executions of a project, newest first, as far as the caller may view them',
    method: 'GET',
    path: '{scope}/executions',
    levels: ['project'],
    input: { query: page },
    output: z.strictObject({ items: z.array(executionItem), next: z.string().nullable() }),
    access: { shape: 'each', kind: 'execution' },
    audit: null,
    dialect: 'api',
    prepare: (call, { query }) => listPage(services, call, query),
  });
}

async function listPage({ database, cursors }: ListServices, call: Call, query: z.infer<typeof page>) {
  const { items, next } = await pageOf(cursors, call, {
    noun: 'execution', query,
    read: ({ after, limit }) => listHeads(database.read, listedRuns(call), { limit, before: after === null ? null : momentOf(after) }),
    keyOf: momentKey,
  });
  return { items: await itemsOf(database, call, items.map(({ id }) => id)), next };
}

async function itemsOf({ read }: ListServices['database'], { account: { id: accountId }, signal }: Call, ids: readonly string[]): Promise<ExecutionItem[]> {
  const items: ExecutionItem[] = [];
  for (let from = 0; from < ids.length; from += loadedAtOnce) {
    signal.throwIfAborted();
    const some = ids.slice(from, from + loadedAtOnce);
    const executions = await loadExecutions(read, accountId, some);
    const attempts = await attemptsOfAll(read, accountId, some);
    for (const id of some) items.push(itemOf(executions.get(id)!, attempts));
  }
  return items;
}
