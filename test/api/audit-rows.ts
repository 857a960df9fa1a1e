/** The audit rows that something leaves: exactly these and no others. */
import type { TestServer } from '#test/server.ts';

export interface AuditRow {
  readonly action: string;
  readonly outcome: string;
  /** `user:alice`, `system:setup`. */
  readonly actor: string;
  /** `role payments/deployer`; null when it is about none. */
  readonly resource: string | null;
  readonly scope: string;
}

export interface StoredRow extends AuditRow {
  readonly id: string;
  readonly requestId: string;
  readonly detail: unknown;
  readonly personal: Readonly<Record<string, { readonly value: unknown }>>;
}

const columns = `id, request_id as "requestId", action, outcome, scope, detail, personal,
  coalesce(actor_type, '-') || ':' || coalesce(personal -> 'actor' -> 'value' ->> 'path', '-') as actor,
  case when resource_kind is null then null else resource_kind || ' ' || resource_path end as resource`;

/** Remembers what is there now; what is returned reads what came after, oldest first, without summaries of strangers. */
export async function auditMark(server: TestServer): Promise<() => Promise<StoredRow[]>> {
  const before = await server.sql<{ id: string }>('select id from audit_event');
  const known = before.map((row) => row.id);
  return () =>
    server.sql<StoredRow>(`select ${columns} from audit_event where not (id = any($1::uuid[])) and action <> 'refusals.summary' order by at, id`, [known]);
}

/** As tests compare them, in an order of their own: rows of one act have no order. */
export function told(rows: readonly StoredRow[]): AuditRow[] {
  return rows
    .map(({ action, outcome, actor, resource, scope }) => ({ action, outcome, actor, resource, scope }))
    .toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}
