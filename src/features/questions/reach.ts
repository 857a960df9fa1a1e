/** The questions turned round: who can, and what can. Both are for those who may explain; what oneself can is for anybody. */
import { z } from 'zod';
import { hasLiveGrant } from '#features/access/feature.ts';
import { refusal } from '#kernel/errors.ts';
import type { Check } from '#kernel/decision.ts';
import type { AnyOperation } from '#kernel/operation.ts';
import { scopePath } from '#kernel/marks.ts';
import { accountScope, parseScope } from '#kernel/scope.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { Call } from '#platform/call.ts';
import { operation } from '#platform/call.ts';
import type { Cursors } from '#platform/http/cursor.ts';
import { accessAt, readable } from './ask.ts';
import { askerNamed } from './asker.ts';
import type { CheckServices } from './check.ts';
import { principalWords, reasonView, resourceWords } from './schema.ts';
import { targetMeant } from './target.ts';
import { whatCan } from './what-can.ts';
import { whoCan } from './who-can.ts';

export interface ReachServices extends CheckServices {
  readonly cursors: Cursors;
}

const page = { limit: z.number().int().min(1).max(200).default(50), cursor: z.string().max(4_096).optional() };

const whoBody = z.strictObject({
  permission: z.string().max(260), resource: resourceWords,
  types: z.array(z.enum(['user', 'service_account', 'workload'])).min(1).max(3).default(['user', 'service_account', 'workload']),
  ...page,
});

const personView = z.strictObject({ type: z.enum(['user', 'service_account']), path: z.string(), reasons: z.array(reasonView) });
const workloadView = z.strictObject({
  type: z.literal('workload'),
  path: z.string().describe('of the claim mapping by which it would come'),
  issuer: z.string(),
  when: z.array(z.record(z.string(), z.unknown())).describe('what its claims must be'),
});
const whoAnswer = z.strictObject({ items: z.array(z.union([personView, workloadView])), next: z.string().nullable(), revision: z.number().int() });

const whatBody = z.strictObject({ principal: principalWords.optional(), scope: scopePath.optional(), kind: z.string().max(128).optional(), ...page });
const whatAnswer = z.strictObject({
  items: z.array(z.strictObject({ kind: z.string(), id: z.string(), scope: z.string(), permissions: z.array(z.string()) })),
  next: z.string().nullable(),
  revision: z.number().int(),
});

export function reachOperations(services: ReachServices): AnyOperation[] {
  const who = operation({
    name: 'access.who_can',
    summary: 'Who may do something to a resource, and by what; workloads that could come are told with the claims they would need',
    method: 'POST',
    path: '{account}/access:whoCan',
    input: { body: whoBody },
    output: whoAnswer,
    access: {
      shape: 'plan',
      plan: async (call: Call, { body }: { body: z.infer<typeof whoBody> }) => {
        const target = targetMeant(call.world, services.kinds.of(call.world), body);
        return { checks: [explaining(target.scope)], before: call.world, after: call.world, found: target };
      },
    },
    audit: null,
    dialect: 'api',
    prepare: async (call, { body }, target) => {
      const cursor = cursorOf(services, call, ['who', body.permission, body.resource, body.types]);
      const asking = { world: call.world, kinds: services.kinds, question: { permission: body.permission, target }, now: call.now };
      const { items, next } = whoCan(asking, { types: body.types, after: cursor.read(body.cursor), limit: body.limit });
      const shown = items.map((item) => {
        if (item.type === 'workload') return { type: item.type, path: item.path, issuer: item.issuer, when: item.when.map((condition) => ({ ...condition })) };
        return { type: item.type, path: item.path, reasons: item.decision.reasons.map((reason) => readable(call.world, reason)) };
      });
      return { items: shown, next: cursor.write(next), revision: call.world.revision };
    },
  });

  const what = operation({
    name: 'access.what_can',
    summary: 'What a principal may do, resource by resource',
    method: 'POST',
    path: '{account}/access:whatCan',
    input: { body: whatBody },
    output: whatAnswer,
    access: {
      shape: 'plan',
      plan: async (call: Call, { body }: { body: z.infer<typeof whatBody> }) => {
        const within = parseScope(body.scope)!;
        const asker = body.principal === undefined ? call.caller : await askerNamed(services, call, body.principal);
        const checks = body.principal === undefined ? [] : [explaining(within)];
        return { checks, before: call.world, after: call.world, found: { asker, within } };
      },
    },
    audit: null,
    dialect: 'api',
    prepare: async (call, { body }, { asker, within }) => {
      // Of oneself anybody may ask, and learns nothing of scopes in which one has nothing.
      const isTold = body.principal === undefined ? hasLiveGrant(call.world, services.kinds, call.caller, within, call.now) : call.world.hasScope(within);
      if (!isTold) throw refusal('access.not_found');
      const cursor = cursorOf(services, call, ['what', body.principal ?? null, body.scope ?? accountScope, body.kind ?? null]);
      if (asker === null) return { items: [], next: null, revision: call.world.revision };
      const asking = { world: call.world, kinds: services.kinds, asker, now: call.now };
      const { items, next } = whatCan(asking, { kind: body.kind ?? null, permission: null, within, after: cursor.read(body.cursor), limit: body.limit });
      return { items: items.map((item) => ({ ...item, permissions: [...item.permissions] })), next: cursor.write(next), revision: call.world.revision };
    },
  });

  return [who, what];
}

function explaining(scope: ScopePath): Check {
  return { ask: 'permission', permission: 'access.explain', target: accessAt(scope), world: 'before' };
}

/** A cursor belongs to the caller and the question, which must stay the same from page to page. */
function cursorOf({ cursors }: ReachServices, call: Call, question: readonly unknown[]) {
  const { principal } = call.caller;
  const binding = ['access', call.account.id, principal.type, principal.uid, JSON.stringify(question)];
  return {
    read: (cursor: string | undefined): string | null => (cursor === undefined ? null : cursors.decode(binding, cursor)),
    write: (next: string | null): string | null => (next === null ? null : cursors.encode(binding, next)),
  };
}
