/** Which of the permissions that a role binding or a claim mapping gives nobody has used for some days. */
import type { z } from 'zod';
import { builtinByUid } from '#features/access/feature.ts';
import type { Kinds } from '#kernel/kind.ts';
import type { AnyOperation } from '#kernel/operation.ts';
import { parentOf, parseScope } from '#kernel/scope.ts';
import type { World } from '#kernel/world.ts';
import { entryPath } from '#kernel/world.ts';
import type { Call } from '#platform/call.ts';
import { operation } from '#platform/call.ts';
import type { Database } from '#platform/database/database.ts';
import type { Cursors } from '#platform/http/cursor.ts';
import type { Given } from './given.ts';
import { givenAfter } from './given.ts';
import type { UseRecorder } from './recorder.ts';
import { dayOf, dayText } from './recorder.ts';
import type { UnusedItem } from './schema.ts';
import { unusedAnswer, unusedBody } from './schema.ts';
import type { Asked } from './store.ts';
import { createdAt, lastUses, recordedSince } from './store.ts';

export interface UnusedServices {
  readonly database: Database;
  readonly kinds: Kinds;
  readonly cursors: Cursors;
  readonly uses: UseRecorder;
}

type Body = z.infer<typeof unusedBody>;

const dayMs = 86_400_000;
/** Of one page, which may be short for it: what is given, and those it is given to. */
const maxLookedAt = { given: 1_000, subjects: 50_000 };
const partSize = 200;
/** Of one statement; of a group each member is one. */
const maxAsked = 10_000;

export function unusedOperation(services: UnusedServices): AnyOperation {
  return operation({
    name: 'access.unused',
    summary: 'Which of the permissions that role bindings and claim mappings give nobody has used for some days',
    method: 'POST',
    path: '{account}/access:unused',
    input: { body: unusedBody },
    output: unusedAnswer,
    access: {
      shape: 'plan',
      plan: async (call: Call, { body }: { body: Body }) => {
        const within = parseScope(body.scope)!;
        const target = { kind: 'access', scope: within, identifier: null, tags: {}, attributes: {} };
        return { checks: [{ ask: 'permission' as const, permission: 'access.explain', target, world: 'before' as const }], before: call.world, after: call.world, found: within };
      },
    },
    audit: null,
    dialect: 'api',
    prepare: async (call, { body }, within) => {
      // What this node has noted so far is not left out.
      await services.uses.flush();
      const { principal } = call.caller;
      const binding = ['unused', call.account.id, principal.type, principal.uid, String(body.days), within];
      const after = body.cursor === undefined ? null : services.cursors.decode(binding, body.cursor);
      const { items, next } = await pageOfUnused(services, call, { within, after, limit: body.limit, days: body.days });
      const since = await recordedSince(services.database.read, call.account.id);
      return {
        items, next: next === null ? null : services.cursors.encode(binding, next), days: body.days,
        observedSince: dayText(dayOf(since)), observedDays: Math.max(0, Math.floor((call.now.getTime() - since.getTime()) / dayMs)), revision: call.world.revision,
      };
    },
  });
}

interface Wanted {
  readonly within: string;
  readonly after: string | null;
  readonly limit: number;
  readonly days: number;
}

async function pageOfUnused(services: UnusedServices, call: Call, { within, after, limit, days }: Wanted): Promise<{ readonly items: UnusedItem[]; readonly next: string | null }> {
  const items: UnusedItem[] = [];
  let last = after;
  for (let given = 0, subjects = 0; given < maxLookedAt.given && subjects < maxLookedAt.subjects; ) {
    const found = await givenAfter(call, services.kinds, { within, after: last, limit: partSize });
    const part = firstOfThem(found, maxLookedAt.subjects - subjects);
    const shown = await itemsOf(services, call, part, days);
    for (const [i, item] of shown.entries()) {
      last = part[i]!.key;
      if (item !== null && items.push(item) === limit) return { items, next: last };
    }
    if (found.length < partSize && part.length === found.length) return { items, next: null };
    given += part.length;
    subjects += part.reduce((sum, each) => sum + each.subjects.length, 0);
  }
  return { items, next: last };
}

/** As many as have so many subjects together; one at least. */
function firstOfThem(found: readonly Given[], maxSubjects: number): readonly Given[] {
  let left = maxSubjects;
  const end = found.findIndex(({ subjects }, i) => (left -= subjects.length) < 0 && i > 0);
  return end === -1 ? found : found.slice(0, end);
}

/** In the order of what is given; null where all of it was used. */
async function itemsOf({ database }: UnusedServices, call: Call, part: readonly Given[], days: number): Promise<(UnusedItem | null)[]> {
  const lasts = await lastDays(database, call, part);
  const made = await createdAt(database.read, call.account.id, [...new Set(part.map(({ entry }) => entry.uid))]);
  const start = new Date(call.now.getTime() - days * dayMs);
  // A day is used or not: one that has begun before the first of these moments counts whole.
  const firstDay = dayText(dayOf(start));
  return part.map((given, number) => {
    const uses = given.permissions.map((permission) => ({ permission, lastUsed: lasts.get(number)?.get(permission) ?? null }));
    const permissions = uses.filter(({ lastUsed }) => lastUsed === null || lastUsed < firstDay);
    const at = made.get(given.entry.uid);
    // It was deleted meanwhile.
    if (permissions.length === 0 || at === undefined) return null;
    return {
      type: given.type, path: entryPath(given.entry), ...principalOf(call.world, given), role: nameOf(call.world, given.roleUid), scope: given.scope,
      permissions, all: permissions.length === uses.length, createdAt: at.toISOString(), youngerThan: at > start,
    };
  });
}

/** Number of what is given → permission → the day it was used last, by anybody it is given to. */
async function lastDays(database: Database, call: Call, part: readonly Given[]): Promise<ReadonlyMap<number, ReadonlyMap<string, string>>> {
  const lasts = new Map<number, Map<string, string>>();
  let asked: Asked[] = [];
  const ask = async (): Promise<void> => {
    call.signal.throwIfAborted();
    for (const { number, permission, day } of await lastUses(database.read, call.account.id, asked)) {
      const days = lasts.get(number) ?? new Map<string, string>();
      if ((days.get(permission) ?? '') < day) lasts.set(number, days.set(permission, day));
    }
    asked = [];
  };
  for (const [number, { subjects, scope }] of part.entries()) {
    for (const subjectUid of subjects) {
      if (asked.push({ number, subjectUid, scope, parent: parentOf(scope) }) === maxAsked) await ask();
    }
  }
  if (asked.length > 0) await ask();
  return lasts;
}

function principalOf(world: World, { principal }: Given): { principal?: string } {
  const entry = principal === null ? undefined : (builtinByUid(principal.uid) ?? world.get(principal.uid));
  return entry === undefined ? {} : { principal: `${entry.kind}:${entryPath(entry)}` };
}

/** Path of what a uid means; one that means nothing any more stays as it is. */
function nameOf(world: World, uid: string): string {
  const entry = builtinByUid(uid) ?? world.get(uid);
  return entry === undefined ? uid : entryPath(entry);
}
