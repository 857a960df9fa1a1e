/** Manifests in bulk: `apply` and its dry run, and `export`. */
import { z } from 'zod';
import { manifestKind } from '#kernel/kind.ts';
import type { AnyOperation } from '#kernel/operation.ts';
import type { Entry } from '#kernel/world.ts';
import { entryPath } from '#kernel/world.ts';
import type { Call } from '#platform/call.ts';
import { operation } from '#platform/call.ts';
import { page, pageOf } from '#platform/http/paged.ts';
import { planCall, readyChange, writeChange } from './change.ts';
import { requestOf } from './change-request.ts';
import type { ResourceServices } from './operations.ts';
import { firstOf, ofKindWithin } from './ordered.ts';
import type { ChangePlan } from './plan.ts';
import { targetOf } from './plan.ts';
import type { ChangeBody } from './schema.ts';
import { applyResult, changeBody, manifest } from './schema.ts';
import { loadByUid } from './store.ts';
import { manifestOf, warningOf } from './view.ts';

/** Of one page: a document may be large. */
const maxExported = 200;

export function bulkOperations(services: ResourceServices): AnyOperation[] {
  const shared = {
    method: 'POST' as const,
    input: { body: changeBody },
    output: applyResult,
    access: {
      shape: 'plan' as const,
      plan: async (call: Call, { body }: { body: ChangeBody }) => planCall(services, call, await requestOf(services, call, body)),
    },
    dialect: 'api' as const,
  };

  const apply = operation({
    ...shared,
    name: 'manifest.apply',
    summary: 'Creates, updates and prunes resources, all or nothing',
    path: '{account}/manifests:apply',
    // Every change notes its own row; an apply that changes nothing leaves none.
    audit: null,
    prepare: (call, _input, plan: ChangePlan) => readyChange(services, call, plan),
    write: async (tx, call, _input, ready) => {
      const revision = await writeChange(services, tx, call, ready);
      return { changes: shown(ready.plan), warnings: ready.plan.warnings.map(warningOf), revision };
    },
  });

  const plan = operation({
    ...shared,
    name: 'manifest.plan',
    summary: 'Tells what `apply` would do, with the same checks, and does nothing',
    path: '{account}/manifests:plan',
    audit: null,
    prepare: async (_call, _input, planned: ChangePlan) => ({ changes: shown(planned), warnings: planned.warnings.map(warningOf), revision: planned.after.revision }),
  });

  const exported = operation({
    name: 'manifest.export',
    summary: 'The resources of a scope and everything below it that the caller may view, as manifests that can be applied',
    method: 'GET',
    path: '{scope}/manifests',
    input: { query: page.extend({ limit: z.coerce.number().int().min(1).max(maxExported).default(maxExported) }) },
    output: z.strictObject({ documents: z.array(manifest), next: z.string().nullable() }),
    access: { shape: 'each', kind: 'manifest' },
    audit: null,
    dialect: 'api',
    prepare: (call, { query }) => exportPage(services, call, query),
  });

  return [apply, plan, exported];
}

function shown(plan: ChangePlan): z.infer<typeof applyResult>['changes'] {
  return plan.changes.map((change) => {
    const entry = (change.entryAfter ?? change.entryBefore)!;
    return { action: change.action, kind: manifestKind(entry.kind), path: entryPath(entry), uid: change.uid, fields: change.fields.map((field) => field.pointer) };
  });
}

/** Kind by kind, by path; a page may hold several kinds. */
async function exportPage(services: ResourceServices, call: Call, query: z.infer<typeof page>) {
  const names = [...services.kinds.kinds.keys()];
  const see = (entry: Entry): Entry | null => {
    const question = { permission: `${entry.kind}.view`, target: targetOf(entry) };
    if (!call.decide(question).allowed) return null;
    call.used(question);
    return entry;
  };
  const { items, next } = await pageOf(services.cursors, call, {
    noun: 'manifest', query,
    read: async ({ after, limit }) => {
      const [startKind, startPath] = after?.split(' ') ?? [names[0]!, null];
      const found: Entry[] = [];
      for (const kind of names.slice(names.indexOf(startKind!))) {
        const ordering = { entries: () => ofKindWithin(call.world, kind, call.scope), keyOf: entryPath, after: kind === startKind ? startPath! : null, signal: call.signal };
        found.push(...(await firstOf(ordering, limit - found.length, see)));
        if (found.length === limit) break;
      }
      return found;
    },
    keyOf: (entry) => `${entry.kind} ${entryPath(entry)}`,
  });
  const rows = await loadByUid(services.database.read, services.kinds, call.account.id, items.map((entry) => entry.uid));
  return { documents: items.flatMap((entry) => (rows.has(entry.uid) ? [manifestOf(rows.get(entry.uid)!)] : [])), next };
}
