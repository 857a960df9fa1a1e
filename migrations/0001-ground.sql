-- Global tables: the only ones whose key does not lead with account_id.
create table account (
  id uuid primary key,
  identifier text not null unique,
  name text,
  revision bigint not null default 0,
  disabled boolean not null default false,
  created_at timestamptz(3) not null
);
create table node (id uuid primary key, started_at timestamptz(3) not null, seen_at timestamptz(3) not null);
create table root_key (id uuid primary key, check_value bytea not null, created_at timestamptz(3) not null, retired_at timestamptz(3));
create table rate_bucket (key text primary key, tokens double precision not null, updated_at timestamptz(3) not null);

-- Resources
create table resource (
  account_id uuid not null references account (id),
  uid uuid not null,
  kind text not null,
  scope_uid uuid not null,
  scope text not null,
  identifier text not null,
  name text,
  description text,
  tags jsonb not null,
  spec jsonb not null,
  spec_version smallint not null,
  refs jsonb not null,
  version bigint not null,
  applied_set text,
  created_at timestamptz(3) not null,
  created_by text not null,
  updated_at timestamptz(3) not null,
  updated_by text not null,
  primary key (account_id, uid),
  unique (account_id, kind, scope_uid, identifier)
);
create index resource_scope on resource (account_id, scope_uid, kind);
create index resource_applied_set on resource (account_id, applied_set) where applied_set is not null;

create table resource_ref (
  account_id uuid not null,
  from_uid uuid not null,
  pointer text not null,
  to_uid uuid not null,
  primary key (account_id, from_uid, pointer),
  foreign key (account_id, from_uid) references resource (account_id, uid) on delete cascade
);
create index resource_ref_to on resource_ref (account_id, to_uid);

-- Secret values of a resource, one row per saved value; the spec itself never holds them.
create table secret_version (
  account_id uuid not null,
  resource_uid uuid not null,
  pointer text not null,
  version bigint not null,
  sealed bytea not null,
  digest bytea not null,
  created_at timestamptz(3) not null,
  primary key (account_id, resource_uid, pointer, version),
  foreign key (account_id, resource_uid) references resource (account_id, uid) on delete cascade
);

create table retired_identifier (
  account_id uuid not null references account (id),
  kind text not null,
  scope text not null,
  identifier text not null,
  uid uuid not null,
  retired_at timestamptz(3) not null,
  primary key (account_id, kind, scope, identifier)
);

-- Every change of the snapshot, in the order other nodes apply it.
create table access_change (
  account_id uuid not null references account (id),
  revision bigint not null,
  position integer not null,
  change jsonb not null,
  at timestamptz(3) not null,
  primary key (account_id, revision, position)
);
create index access_change_at on access_change (at);

-- Keys and credentials
create table data_key (
  account_id uuid not null references account (id),
  id uuid not null,
  root_key_id uuid not null references root_key (id),
  wrapped bytea not null,
  created_at timestamptz(3) not null,
  retired_at timestamptz(3),
  primary key (account_id, id)
);
create table signing_key (
  account_id uuid not null references account (id),
  id text not null,
  purpose text not null check (purpose in ('checkpoint', 'session', 'mint')),
  algorithm text not null,
  sealed bytea not null,
  created_at timestamptz(3) not null,
  retired_at timestamptz(3),
  primary key (account_id, id)
);
create unique index signing_key_current on signing_key (account_id, purpose, algorithm) where retired_at is null;

create table credential (
  account_id uuid not null references account (id),
  id uuid not null,
  kind text not null check (kind in ('setup', 'bootstrap', 'personal', 'service_account')),
  principal_type text,
  principal_uid text,
  name text,
  hash bytea not null,
  bounds jsonb,
  may_administer boolean not null,
  created_at timestamptz(3) not null,
  created_by text not null,
  -- The credential it was made with, which it does not outlive.
  parent_id uuid,
  expires_at timestamptz(3),
  revoked_at timestamptz(3),
  primary key (account_id, id),
  unique (account_id, hash)
);
create index credential_parent on credential (account_id, parent_id) where parent_id is not null;
create index credential_principal on credential (account_id, principal_type, principal_uid);

create table password (
  account_id uuid not null references account (id),
  user_uid uuid not null,
  hash text not null,
  updated_at timestamptz(3) not null,
  primary key (account_id, user_uid)
);

-- Audit: the application role may only insert and select here.
create table audit_event (
  account_id uuid not null,
  at timestamptz(3) not null,
  id uuid not null,
  format smallint not null,
  actor_type text,
  actor_uid text,
  via text,
  action text not null,
  resource_kind text,
  resource_uid text,
  resource_path text,
  scope text not null,
  outcome text not null check (outcome in ('success', 'refused', 'failed')),
  session_id uuid,
  request_id text not null,
  detail jsonb,
  commitments jsonb not null,
  personal jsonb not null,
  leaf bytea not null,
  primary key (account_id, at, id)
) partition by range (at);
create table audit_event_rest partition of audit_event default;
create index audit_event_latest on audit_event (account_id, at desc, id desc);
create index audit_event_actor on audit_event (account_id, actor_uid, at desc);
create index audit_event_action on audit_event (account_id, action, at desc);
create index audit_event_resource on audit_event (account_id, resource_uid, at desc);
create index audit_event_path on audit_event (account_id, resource_path, at desc) where resource_path is not null;
create index audit_event_request on audit_event (account_id, request_id, at desc);
create index audit_event_scope on audit_event (account_id, scope, at desc);
create index audit_event_session on audit_event (account_id, session_id, at desc) where session_id is not null;
create index audit_event_claims on audit_event using gin ((personal -> 'claims' -> 'value') jsonb_path_ops);

create table audit_leaf (
  account_id uuid not null,
  seq bigint not null,
  event_at timestamptz(3) not null,
  event_id uuid not null,
  leaf bytea not null,
  link bytea not null,
  primary key (account_id, seq)
);
create unique index audit_leaf_event on audit_leaf (account_id, event_id);

create table audit_checkpoint (
  account_id uuid not null,
  seq bigint not null,
  link bytea not null,
  at timestamptz(3) not null,
  key_id text not null,
  signature bytea not null,
  primary key (account_id, seq)
);

-- Work of the sequencer, not evidence.
create table audit_pending (
  account_id uuid not null,
  at timestamptz(3) not null,
  id uuid not null,
  primary key (account_id, at, id)
);
create table audit_head (account_id uuid primary key, seq bigint not null, link bytea not null);

-- Durable work
create table job (
  id uuid primary key,
  account_id uuid,
  name text not null,
  payload jsonb not null,
  run_at timestamptz(3) not null,
  attempts integer not null default 0,
  locked_until timestamptz(3),
  last_error text,
  unique_key text unique
);
create index job_due on job (run_at);
create table idempotency (
  account_id uuid not null,
  caller text not null,
  key text not null,
  request_hash bytea not null,
  status integer,
  answer jsonb,
  created_at timestamptz(3) not null,
  primary key (account_id, caller, key)
);
create index idempotency_created on idempotency (created_at);
