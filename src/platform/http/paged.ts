/** Lists, page by page: what is asked, and the cursor that leads from one page to the next. */
import { z } from 'zod';
import type { Call } from '../call.ts';
import type { Cursors } from './cursor.ts';

export const page = z.strictObject({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(1_024).optional(),
});

/** A page, and whatever else a list is asked by: a cursor goes on with the same question only. */
export type PageQuery = z.infer<typeof page> & Readonly<Record<string, unknown>>;

export interface Paging<T> {
  /** What is listed. */
  readonly noun: string;
  readonly query: PageQuery;
  /** At most `limit` items in order behind `after`, the key of an item; null = from the beginning. */
  readonly read: (wanted: { readonly after: string | null; readonly limit: number }) => Promise<readonly T[]>;
  /** Where `read` goes on behind the item. */
  readonly keyOf: (item: T) => string;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Null when there is no more. */
  readonly next: string | null;
}

/** One page. Its cursor is for this caller, in this account and scope, with this question. */
export async function pageOf<T>(cursors: Cursors, call: Call, { noun, query, read, keyOf }: Paging<T>): Promise<Page<T>> {
  const { limit, cursor, ...asked } = query;
  const { principal } = call.caller;
  const binding = [noun, call.account.id, call.scope, principal.type, principal.uid, JSON.stringify(asked)];
  const after = cursor === undefined ? null : cursors.decode(binding, cursor);
  const found = await read({ after, limit: limit + 1 });
  const items = found.slice(0, limit);
  return { items, next: found.length > limit ? cursors.encode(binding, keyOf(items.at(-1)!)) : null };
}

/** A place in what is ordered by time, and by id where the times are the same. */
export interface Moment {
  readonly at: Date;
  readonly id: string;
}

export function momentKey({ at, id }: Moment): string {
  return `${at.toISOString()} ${id}`;
}

export function momentOf(key: string): Moment {
  const [at, id] = key.split(' ');
  return { at: new Date(at!), id: id! };
}
