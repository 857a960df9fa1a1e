/** The ledger of minted tokens: which an execution took, and who used a connector. */
import { z } from 'zod';
import { sql } from 'kysely';
import { targetOf } from '#features/resources/feature.ts';
import { assert } from '#kernel/errors.ts';
import type { AnyOperation } from '#kernel/operation.ts';
import type { Entry } from '#kernel/world.ts';
import { entryPath } from '#kernel/world.ts';
import type { Call } from '#platform/call.ts';
import { on, operation } from '#platform/call.ts';
import type { Database } from '#platform/database/database.ts';
import type { Cursors } from '#platform/http/cursor.ts';
import { momentKey, momentOf, page, pageOf } from '#platform/http/paged.ts';
import type { Moment } from '#platform/http/paged.ts';
import { identified, onExecution } from './on-execution.ts';

export interface LedgerServices {
  readonly database: Database;
  readonly cursors: Cursors;
}

const time = z.iso.datetime({ precision: 3 });

const token = z.strictObject({
  id: z.uuid().describe('`jti` of the token'),
  connector: z.string().nullable().describe('null when it is gone'),
  audience: z.string(),
  subject: z.string(),
  execution: z.string().describe('path of its project, then its id'),
  step: z.string(),
  attempt: z.number().int(),
  issuedAt: time,
  expiresAt: time,
  fate: z.enum(['live', 'ended', 'expired', 'revoked']).describe('`ended`: the attempt it was minted for is over; `revoked`: the key it was signed with was; introspection says so'),
});
type Token = z.infer<typeof token>;

const tokens = z.strictObject({ items: z.array(token), next: z.string().nullable() });

export function ledgerOperations(services: LedgerServices): AnyOperation[] {
  const common = { method: 'GET' as const, output: tokens, audit: null, dialect: 'api' as const };

  const ofExecution = operation({
    ...common,
    name: 'execution.tokens',
    summary: 'Tokens minted for an execution, newest first',
    path: '{scope}/executions/{id}/tokens',
    levels: ['project'],
    input: { params: identified, query: page },
    access: onExecution(services, 'view'),
    prepare: (call, { query }, head) => ledgerPage(services, call, query, { column: 'execution_id', uid: head.id }),
  });

  const ofConnector = operation({
    ...common,
    name: 'connector.tokens',
    summary: 'Tokens minted for a connector, newest first, whatever project used it',
    path: '{scope}/connectors/{identifier}/tokens',
    input: { params: z.strictObject({ identifier: z.string().max(128) }), query: page },
    access: on('connector.view', async (call: Call, { params }: { params: { identifier: string } }) => connectorAt(call, params.identifier)),
    prepare: (call, { query }, entry: Entry) => ledgerPage(services, call, query, { column: 'connector_uid', uid: entry.uid }),
  });

  return [ofExecution, ofConnector];
}

function connectorAt(call: Call, identifier: string) {
  const entry = call.world.find('connector', call.scope, identifier);
  return entry === undefined ? null : { target: targetOf(entry), found: entry };
}

interface Of {
  readonly column: 'execution_id' | 'connector_uid';
  readonly uid: string;
}

async function ledgerPage({ database, cursors }: LedgerServices, call: Call, query: z.infer<typeof page>, of: Of) {
  const { items, next } = await pageOf(cursors, call, {
    noun: `token ${of.column} ${of.uid}`, query,
    read: ({ after, limit }) => rowsOf(database, call, of, { limit, before: after === null ? null : momentOf(after) }),
    keyOf: momentKey,
  });
  return { items: items.map(({ token: one }) => one), next };
}

interface Row extends Moment {
  readonly token: Token;
}

async function rowsOf({ read }: Database, call: Call, { column, uid }: Of, { limit, before }: { limit: number; before: Moment | null }): Promise<Row[]> {
  let query = read.selectFrom('minted_token as t')
    .innerJoin('execution as e', (join) => join.onRef('e.account_id', '=', 't.account_id').onRef('e.id', '=', 't.execution_id'))
    .innerJoin('attempt as a', (join) => join.onRef('a.account_id', '=', 't.account_id').onRef('a.id', '=', 't.attempt_id'))
    .leftJoin('signing_key as k', (join) => join.onRef('k.account_id', '=', 't.account_id').onRef('k.id', '=', 't.key_id'))
    .select(['k.revoked_at', 't.id', 't.connector_uid', 't.audience', 't.subject', 't.execution_id', 't.issued_at', 't.expires_at', 'e.scope', 'a.step_uid', 'a.number', 'a.status'])
    .where('t.account_id', '=', call.account.id).where(`t.${column}`, '=', uid);
  if (before !== null) query = query.where(sql<boolean>`(t.issued_at, t.id) < (${before.at}::timestamptz, ${before.id}::uuid)`);
  const rows = await query.orderBy('t.issued_at', 'desc').orderBy('t.id', 'desc').limit(limit).execute();
  return rows.map((row) => {
    const connector = call.world.get(row.connector_uid);
    assert(row.issued_at <= row.expires_at, 'a token ends before it begins');
    return {
      at: row.issued_at, id: row.id,
      token: {
        id: row.id, connector: connector === undefined ? null : entryPath(connector), audience: row.audience, subject: row.subject,
        execution: `${row.scope}/${row.execution_id}`, step: row.step_uid, attempt: row.number,
        issuedAt: row.issued_at.toISOString(), expiresAt: row.expires_at.toISOString(), fate: fateOf(row, call.now),
      },
    };
  });
}

const working: ReadonlySet<string> = new Set(['leased', 'started']);

/** A token's word is worth what its time, its key and its attempt are. */
function fateOf({ status, expires_at: expiresAt, revoked_at: revokedAt }: { readonly status: string; readonly expires_at: Date; readonly revoked_at: Date | null }, now: Date): Token['fate'] {
  if (now >= expiresAt) return 'expired';
  if (revokedAt !== null) return 'revoked';
  return working.has(status) ? 'live' : 'ended';
}
