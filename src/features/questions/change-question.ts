/** The question what documents would change, for those who review them and may not apply them. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { holds } from '#features/access/feature.ts';
import type { ChangeServices } from '#features/resources/feature.ts';
import { reviewDocuments } from '#features/resources/feature.ts';
import type { ChangeBody } from '#features/resources/schema.ts';
import { changeBody } from '#features/resources/schema.ts';
import type { Check } from '#kernel/decision.ts';
import { refusal } from '#kernel/errors.ts';
import type { AnyOperation } from '#kernel/operation.ts';
import { Rerun } from '#kernel/operation.ts';
import { accountScope } from '#kernel/scope.ts';
import type { World } from '#kernel/world.ts';
import type { Call } from '#platform/call.ts';
import { operation } from '#platform/call.ts';
import type { Cursors } from '#platform/http/cursor.ts';
import { refuseQuestion } from '#platform/http/refuse.ts';
import { accessAt } from './ask.ts';
import type { FoundResource } from './what-can.ts';
import type { ChangePage, Terms } from './what-would-change.ts';
import { whatWouldChange } from './what-would-change.ts';

export interface ChangeQuestionServices extends ChangeServices {
  readonly cursors: Cursors;
}

const body = changeBody.extend({
  limit: z.number().int().min(1).max(1_000).default(200).describe('so many resources, of all principals together; a page may have fewer while there is more'),
  cursor: z.string().max(4_096).optional(),
});

const resources = z.array(z.strictObject({ kind: z.string(), id: z.string(), scope: z.string(), permissions: z.array(z.string()) }));
const terms = z.strictObject({
  issuer: z.string(),
  when: z.array(z.record(z.string(), z.unknown())),
  condition: z.string().nullable(),
  grants: z.array(z.record(z.string(), z.unknown())).describe('as written, where one of them takes its scope from a claim'),
  singleUse: z.boolean(),
  maxTokenAgeSeconds: z.number().int().nullable(),
  proofOfPossession: z.boolean(),
  mayAdminister: z.boolean(),
});
const person = z.strictObject({ type: z.enum(['user', 'service_account']), path: z.string(), gains: resources, loses: resources });
const workload = z.strictObject({
  type: z.literal('workload'),
  path: z.string().describe('of the claim mapping by which it would come'),
  issuer: z.string(),
  when: z.array(z.record(z.string(), z.unknown())).describe('what its claims must be'),
  conditionChanged: z.strictObject({ before: terms, after: terms }).optional().describe('others can come by it than before, come in another way, or come to other scopes'),
  issuerChanged: z.literal(true).optional().describe('the document of its issuer says something else of the tokens that are taken'),
  gains: resources,
  loses: resources,
});
const answer = z.strictObject({
  items: z.array(z.union([person, workload])).describe('by type and path; one with much goes on in the next page'),
  next: z.string().nullable(),
  revision: z.number().int().describe('of the account that was compared with'),
});

interface Found {
  readonly after: World;
  readonly position: string | null;
  /** Of the first page: what expires between two pages is no change. */
  readonly now: Date;
}

export function changeQuestion(services: ChangeQuestionServices): AnyOperation {
  return operation({
    name: 'access.what_would_change',
    summary: 'Who would gain and who would lose what if these manifests were applied; applies nothing',
    method: 'POST',
    path: '{account}/access:whatWouldChange',
    input: { body },
    output: answer,
    access: {
      shape: 'plan',
      plan: async (call: Call, input: { body: z.infer<typeof body> }) => {
        const check = refuseUnlessExplaining(services, call);
        const { limit: _limit, cursor, ...documents } = input.body;
        const from = read(services, call, documents, cursor);
        const after = await reviewDocuments(services, call, documents);
        const found: Found = { after, ...from };
        return { checks: [check], before: call.world, after, found };
      },
    },
    audit: null,
    dialect: 'api',
    prepare: async (call, input, { after, position, now }: Found) => {
      const { limit, cursor: _cursor, ...documents } = input.body;
      const before = after.base!;
      // The account may have gone on since the documents were laid over it.
      if (before.revision !== after.revision) throw new Rerun(before.revision);
      const page = whatWouldChange({ before, after, kinds: services.kinds, now }, { after: position, limit });
      return { ...shown(page), next: page.next === null ? null : write(services, call, documents, { position: page.next, now }), revision: after.revision };
    },
  });
}

/** The answer is about the whole account, and whole or none: who may explain only in a part of it would not know what is missing. */
function refuseUnlessExplaining({ kinds }: ChangeQuestionServices, call: Call): Check {
  const question = { permission: 'access.explain', target: accessAt(accountScope) };
  if (!call.decide(question).allowed) throw refuseQuestion(call, question);
  const everywhere = { permissions: [question.permission], extent: { scope: accountScope, includeChildScopes: true, resources: 'all' as const } };
  if (!holds(call.world, kinds.of(call.world), call.caller, everywhere, call.now)) {
    const say = 'what would change is told of the whole account: you need `access.explain` over `all_resources_including_child_scopes`';
    throw refusal('access.denied', { say, evidence: { permission: question.permission, kind: 'access', scope: accountScope, identifier: null } });
  }
  return { ask: 'permission', ...question, world: 'before' };
}

/** A cursor belongs to the caller, the documents, and the state of the account they were compared with. */
function bindingOf(call: Call, documents: ChangeBody): string[] {
  const { principal } = call.caller;
  return ['access', call.account.id, principal.type, principal.uid, 'change', createHash('sha256').update(JSON.stringify(documents)).digest('base64url')];
}

function write({ cursors }: ChangeQuestionServices, call: Call, documents: ChangeBody, { position, now }: { readonly position: string; readonly now: Date }): string {
  return cursors.encode(bindingOf(call, documents), `${call.revision} ${now.getTime()} ${position}`);
}

function read({ cursors }: ChangeQuestionServices, call: Call, documents: ChangeBody, cursor: string | undefined): Pick<Found, 'position' | 'now'> {
  if (cursor === undefined) return { position: null, now: call.now };
  const [, revision, nowMs, position] = /^(\d+) (\d+) (.*)$/s.exec(cursors.decode(bindingOf(call, documents), cursor))!;
  // Another node may be ahead of this one.
  if (Number(revision) > call.revision) throw new Rerun(Number(revision));
  if (Number(revision) < call.revision) throw refusal('resource.conflict', { say: 'the account has changed since the first page; ask again from the start' });
  return { position: position!, now: new Date(Number(nowMs)) };
}

function shown({ items }: ChangePage): Pick<z.infer<typeof answer>, 'items'> {
  const copied = (all: readonly FoundResource[]) => all.map((one) => ({ ...one, permissions: [...one.permissions] }));
  return {
    items: items.map((item) => {
      const changes = { gains: copied(item.gains), loses: copied(item.loses) };
      if (item.type !== 'workload') return { type: item.type, path: item.path, ...changes };
      const { type, path, issuer, when, conditionChanged, issuerChanged } = item;
      const condition = conditionChanged === undefined ? {} : { conditionChanged: { before: shownTerms(conditionChanged.before), after: shownTerms(conditionChanged.after) } };
      return { type, path, issuer, when: shownWhen(when), ...condition, ...(issuerChanged === undefined ? {} : { issuerChanged }), ...changes };
    }),
  };
}

function shownWhen(when: Terms['when']): Record<string, unknown>[] {
  return when.map((condition) => ({ ...condition }));
}

function shownTerms({ when, grants, ...rest }: Terms): z.infer<typeof terms> {
  return { ...rest, when: shownWhen(when), grants: grants.map((grant) => ({ ...grant })) };
}
