/** The rows as the application sees them. `schema.sql` is the truth; a test compares column names with it. */
import type { ColumnType, Generated, JSONColumnType } from 'kysely';

type Json = JSONColumnType<object, unknown, unknown>;
type Bytes = Buffer;

export interface Tables {
  account: { id: string; identifier: string; name: string | null; revision: number; disabled: boolean; created_at: Date; uses_recorded_since: Generated<Date> };
  node: { id: string; started_at: Date; seen_at: Date };
  root_key: { id: string; check_value: Bytes; created_at: Date; retired_at: Date | null };
  rate_bucket: { key: string; tokens: number; updated_at: Date };
  resource: {
    account_id: string; uid: string; kind: string; scope_uid: string; scope: string; identifier: string;
    name: string | null; description: string | null; tags: Json; spec: Json; spec_version: number; refs: Json;
    version: number; applied_set: string | null;
    created_at: Date; created_by: string; updated_at: Date; updated_by: string;
  };
  resource_ref: { account_id: string; from_uid: string; pointer: string; to_uid: string };
  secret_version: {
    account_id: string; resource_uid: string; pointer: string; version: number; sealed: Bytes; digest: Bytes; created_at: Date;
  };
  /** `last_used` is a day such as `2026-06-01`; it is read as text. */
  permission_use: { account_id: string; subject_uid: string; permission: string; scope: string; last_used: ColumnType<string, string, string> };
  retired_identifier: { account_id: string; kind: string; scope: string; identifier: string; uid: string; retired_at: Date };
  access_change: { account_id: string; revision: number; position: number; change: Json; at: Date };
  data_key: { account_id: string; id: string; root_key_id: string; wrapped: Bytes; created_at: Date; retired_at: Date | null };
  signing_key: {
    account_id: string; id: string; purpose: string; algorithm: string; sealed: Bytes; created_at: Date; retired_at: Date | null;
    /** Both of purpose `mint` only. */
    signs_from: Date | null; revoked_at: Date | null;
  };
  credential: {
    account_id: string; id: string; kind: 'setup' | 'bootstrap' | 'personal' | 'service_account' | 'impersonation';
    principal_type: string | null; principal_uid: string | null; actor_type: string | null; actor_uid: string | null; name: string | null; hash: Bytes;
    bounds: ColumnType<unknown, string | null, string | null>; may_administer: boolean;
    created_at: Date; created_by: string; parent_id: string | null; expires_at: Date | null; revoked_at: Date | null;
  };
  password: { account_id: string; user_uid: string; hash: string; updated_at: Date };
  audit_event: {
    account_id: string; at: Date; id: string; format: number; actor_type: string | null; actor_uid: string | null;
    via: string | null; action: string; resource_kind: string | null; resource_uid: string | null;
    resource_path: string | null; scope: string; outcome: string; session_id: string | null; request_id: string;
    detail: ColumnType<unknown, string | null, never>; commitments: Json; personal: Json; leaf: Bytes;
  };
  audit_leaf: { account_id: string; seq: number; event_at: Date; event_id: string; leaf: Bytes; link: Bytes };
  audit_checkpoint: { account_id: string; seq: number; link: Bytes; at: Date; key_id: string; signature: Bytes };
  audit_pending: { account_id: string; at: Date; id: string };
  audit_head: { account_id: string; seq: number; link: Bytes };
  job: {
    id: string; account_id: string | null; name: string; payload: Json; run_at: Date; attempts: number;
    locked_until: Date | null; last_error: string | null; unique_key: string | null;
  };
  idempotency: {
    account_id: string; caller: string; key: string; request_hash: Bytes; status: number | null;
    answer: ColumnType<unknown, string | null, string | null>; created_at: Date;
  };
  workload_session: {
    account_id: string; id: string; issuer_uid: string; issuer: string; subject: string; label: string; claims: Json; proof: Json;
    mappings: Json; mapping_uids: string[]; token_hash: Bytes; created_at: Date; expires_at: Date; revoked_at: Date | null; revoked_by: string | null;
    recorded: ColumnType<unknown, string | null, never>;
    bounds: ColumnType<unknown, string | null, never>; confirmation: ColumnType<unknown, string | null, never>; direct: boolean;
  };
  used_jti: { account_id: string; used_by: string; jti: Bytes; keep_until: Date };
  issuer_catch: { account_id: string; issuer_uid: string; tenant: ColumnType<unknown, string | null, string | null>; until: Date; started_at: Date; started_by: string };
  caught_token: { account_id: string; issuer_uid: string; id: string; at: Date; outcome: string; claims: Json; detail: Json; keep_until: Date };
  mapping_version: { account_id: string; mapping_uid: string; version: number; path: string; spec: Json; seen_at: Date };
  issuer_keys: { account_id: string; issuer_uid: string; source: string; jwks: Bytes; fetched_at: Date };
  id_drift: {
    account_id: string; issuer_uid: string; pin: Bytes; tenant: string; claim: string; name: string; id: string; first_seen: Date;
    accepted_at: Date | null; accepted_by: string | null; other_id: string | null; other_seen: Date | null; refused: Generated<number>;
  };
  minted_token: {
    account_id: string; id: string; connector_uid: string; execution_id: string; attempt_id: string; audience: string; subject: string;
    claims: Json; issued_at: Date; expires_at: Date; key_id: string | null;
  };
  execution: {
    account_id: string; id: string; pipeline_uid: string; pipeline_path: string; sequence_id: number; scope: string; plan: Json; record: Json; run_grant: Bytes;
    starter_uid: string; state: Json; status: string; events: number; created_at: Date; ended_at: Date | null;
  };
  execution_event: { account_id: string; execution_id: string; seq: number; event: Json; at: Date };
  attempt: {
    account_id: string; id: string; execution_id: string; step_uid: string; number: number;
    status: 'offered' | 'leased' | 'started' | 'ended' | 'lost' | 'withdrawn'; fence: number; runner_id: string | null; claim_id: string | null;
    lease_until: Date | null; lease_limit: Date | null; cancel: boolean; timeout_ms: number; labels: ColumnType<unknown, string | undefined, never>; mask_set: Generated<number>; offered_at: Date; started_at: Date | null; ended_at: Date | null; result_hash: Bytes | null; log_totals: ColumnType<unknown, string | null, string | null>;
    stdout_bytes: Generated<number>; stderr_bytes: Generated<number>;
  };
  attempt_delivery: { account_id: string; attempt_id: string; sealed: Bytes; at: Date };
  sealed_output: { account_id: string; id: string; execution_id: string; sealed: Bytes; created_at: Date };
  log_segment: { account_id: string; attempt_id: string; stream: 'stdout' | 'stderr'; start_offset: number; bytes: Bytes; mask_version: number; at: Date };
  runner: {
    account_id: string; id: string; scope: string; identifier: string; labels: Json; signing_key: Json; sealing_key: Json;
    state: 'active' | 'paused' | 'removed'; created_at: Date; created_by: string; seen_at: Date | null;
  };
  runner_registration: {
    account_id: string; id: string; hash: Bytes; scope: string; identifier: string; labels: Json;
    created_at: Date; created_by: string; made_with: string | null; expires_at: Date; revoked_at: Date | null; runner_id: string | null;
  };
}
