/** Operations on one execution: who may see it, or stop it. */
import { z } from 'zod';
import type { Plan } from '#kernel/operation.ts';
import type { Call } from '#platform/call.ts';
import type { Database } from '#platform/database/database.ts';
import { refuseMissing } from '#platform/http/refuse.ts';
import type { ExecutionHead } from './store.ts';
import { findHead } from './store.ts';
import { checksOf } from './visible.ts';

export const identified = z.strictObject({ id: z.uuid() });

/** A GET and a POST of an execution ask alike; who may not see it is told what is told of one that is not there. */
export function onExecution({ database }: { readonly database: Database }, verb: 'view' | 'abort') {
  return {
    shape: 'plan' as const,
    plan: async (call: Call, { params }: { params: { id: string } }): Promise<Plan<ExecutionHead>> => {
      const head = await findHead(database.read, { accountId: call.account.id, executionId: params.id });
      if (head === null || head.scope !== call.scope) throw refuseMissing(call, 'execution.view', null);
      return { checks: checksOf(call, head, verb), before: call.world, after: call.world.overlay([]), found: head };
    },
  };
}
