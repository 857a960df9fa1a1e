-- What the migrations make, all together: derived by `npm run schema`, for reading, and never applied.
-- The monthly partitions of audit_event are not here: `migrate` makes them, two years ahead.

-- Roles
do $$ begin
  if not exists (select from pg_roles where rolname = 'sallyport_app') then create role sallyport_app nologin; end if;
end $$;

-- Tables
create table access_change (
  account_id uuid not null,
  revision bigint not null,
  "position" integer not null,
  change jsonb not null,
  at timestamp(3) with time zone not null,
  constraint access_change_pkey PRIMARY KEY (account_id, revision, "position")
);
create table account (
  id uuid not null,
  identifier text not null,
  name text,
  revision bigint default 0 not null,
  disabled boolean default false not null,
  created_at timestamp(3) with time zone not null,
  uses_recorded_since timestamp(3) with time zone default now() not null,
  constraint account_pkey PRIMARY KEY (id),
  constraint account_identifier_key UNIQUE (identifier)
);
create table attempt (
  account_id uuid not null,
  id uuid not null,
  execution_id uuid not null,
  step_uid text not null,
  number integer not null,
  status text not null,
  fence bigint not null,
  runner_id uuid,
  claim_id text,
  lease_until timestamp(3) with time zone,
  lease_limit timestamp(3) with time zone,
  cancel boolean default false not null,
  timeout_ms bigint not null,
  labels jsonb default '[]'::jsonb not null,
  mask_set integer default 1 not null,
  offered_at timestamp(3) with time zone not null,
  started_at timestamp(3) with time zone,
  ended_at timestamp(3) with time zone,
  result_hash bytea,
  log_totals jsonb,
  stdout_bytes bigint default 0 not null,
  stderr_bytes bigint default 0 not null,
  constraint attempt_pkey PRIMARY KEY (account_id, id),
  constraint attempt_account_id_execution_id_step_uid_number_key UNIQUE (account_id, execution_id, step_uid, number),
  constraint attempt_status_check CHECK ((status = ANY (ARRAY['offered'::text, 'leased'::text, 'started'::text, 'ended'::text, 'lost'::text, 'withdrawn'::text])))
);
create table attempt_delivery (
  account_id uuid not null,
  attempt_id uuid not null,
  sealed bytea not null,
  at timestamp(3) with time zone not null,
  constraint attempt_delivery_pkey PRIMARY KEY (account_id, attempt_id)
);
create table audit_checkpoint (
  account_id uuid not null,
  seq bigint not null,
  link bytea not null,
  at timestamp(3) with time zone not null,
  key_id text not null,
  signature bytea not null,
  constraint audit_checkpoint_pkey PRIMARY KEY (account_id, seq)
);
create table audit_event (
  account_id uuid not null,
  at timestamp(3) with time zone not null,
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
  outcome text not null,
  session_id uuid,
  request_id text not null,
  detail jsonb,
  commitments jsonb not null,
  personal jsonb not null,
  leaf bytea not null,
  constraint audit_event_pkey PRIMARY KEY (account_id, at, id),
  constraint audit_event_outcome_check CHECK ((outcome = ANY (ARRAY['success'::text, 'refused'::text, 'failed'::text])))
) partition by RANGE (at);
create table audit_head (
  account_id uuid not null,
  seq bigint not null,
  link bytea not null,
  constraint audit_head_pkey PRIMARY KEY (account_id)
);
create table audit_leaf (
  account_id uuid not null,
  seq bigint not null,
  event_at timestamp(3) with time zone not null,
  event_id uuid not null,
  leaf bytea not null,
  link bytea not null,
  constraint audit_leaf_pkey PRIMARY KEY (account_id, seq)
);
create table audit_pending (
  account_id uuid not null,
  at timestamp(3) with time zone not null,
  id uuid not null,
  constraint audit_pending_pkey PRIMARY KEY (account_id, at, id)
);
create table caught_token (
  account_id uuid not null,
  issuer_uid uuid not null,
  id uuid not null,
  at timestamp(3) with time zone not null,
  outcome text not null,
  claims jsonb not null,
  detail jsonb not null,
  keep_until timestamp(3) with time zone not null,
  constraint caught_token_pkey PRIMARY KEY (account_id, issuer_uid, id)
);
create table credential (
  account_id uuid not null,
  id uuid not null,
  kind text not null,
  principal_type text,
  principal_uid text,
  name text,
  hash bytea not null,
  bounds jsonb,
  may_administer boolean not null,
  created_at timestamp(3) with time zone not null,
  created_by text not null,
  parent_id uuid,
  expires_at timestamp(3) with time zone,
  revoked_at timestamp(3) with time zone,
  actor_type text,
  actor_uid text,
  constraint credential_pkey PRIMARY KEY (account_id, id),
  constraint credential_account_id_hash_key UNIQUE (account_id, hash),
  constraint credential_actor_check CHECK ((((kind = 'impersonation'::text) = (actor_type IS NOT NULL)) AND ((kind = 'impersonation'::text) = (actor_uid IS NOT NULL)))),
  constraint credential_kind_check CHECK ((kind = ANY (ARRAY['setup'::text, 'bootstrap'::text, 'personal'::text, 'service_account'::text, 'impersonation'::text])))
);
create table data_key (
  account_id uuid not null,
  id uuid not null,
  root_key_id uuid not null,
  wrapped bytea not null,
  created_at timestamp(3) with time zone not null,
  retired_at timestamp(3) with time zone,
  constraint data_key_pkey PRIMARY KEY (account_id, id)
);
create table execution (
  account_id uuid not null,
  id uuid not null,
  pipeline_uid uuid not null,
  pipeline_path text not null,
  sequence_id integer not null,
  scope text not null,
  plan jsonb not null,
  record jsonb not null,
  run_grant bytea not null,
  starter_uid text not null,
  state jsonb not null,
  status text not null,
  events integer not null,
  created_at timestamp(3) with time zone not null,
  ended_at timestamp(3) with time zone,
  constraint execution_pkey PRIMARY KEY (account_id, id),
  constraint execution_account_id_pipeline_uid_sequence_id_key UNIQUE (account_id, pipeline_uid, sequence_id)
);
create table execution_event (
  account_id uuid not null,
  execution_id uuid not null,
  seq integer not null,
  event jsonb not null,
  at timestamp(3) with time zone not null,
  constraint execution_event_pkey PRIMARY KEY (account_id, execution_id, seq)
);
create table id_drift (
  account_id uuid not null,
  issuer_uid uuid not null,
  pin bytea not null,
  tenant text not null,
  claim text not null,
  name text not null,
  id text not null,
  first_seen timestamp(3) with time zone not null,
  accepted_at timestamp(3) with time zone,
  accepted_by text,
  other_id text,
  other_seen timestamp(3) with time zone,
  refused bigint default 0 not null,
  constraint id_drift_pkey PRIMARY KEY (account_id, issuer_uid, pin)
);
create table idempotency (
  account_id uuid not null,
  caller text not null,
  key text not null,
  request_hash bytea not null,
  status integer,
  answer jsonb,
  created_at timestamp(3) with time zone not null,
  constraint idempotency_pkey PRIMARY KEY (account_id, caller, key)
);
create table issuer_catch (
  account_id uuid not null,
  issuer_uid uuid not null,
  tenant jsonb,
  until timestamp(3) with time zone not null,
  started_at timestamp(3) with time zone not null,
  started_by text not null,
  constraint issuer_catch_pkey PRIMARY KEY (account_id, issuer_uid)
);
create table issuer_keys (
  account_id uuid not null,
  issuer_uid uuid not null,
  source text not null,
  jwks bytea not null,
  fetched_at timestamp(3) with time zone not null,
  constraint issuer_keys_pkey PRIMARY KEY (account_id, issuer_uid)
);
create table job (
  id uuid not null,
  account_id uuid,
  name text not null,
  payload jsonb not null,
  run_at timestamp(3) with time zone not null,
  attempts integer default 0 not null,
  locked_until timestamp(3) with time zone,
  last_error text,
  unique_key text,
  constraint job_pkey PRIMARY KEY (id),
  constraint job_unique_key_key UNIQUE (unique_key)
);
create table log_segment (
  account_id uuid not null,
  attempt_id uuid not null,
  stream text not null,
  start_offset bigint not null,
  bytes bytea not null,
  mask_version integer not null,
  at timestamp(3) with time zone not null,
  constraint log_segment_pkey PRIMARY KEY (account_id, attempt_id, stream, start_offset),
  constraint log_segment_stream_check CHECK ((stream = ANY (ARRAY['stdout'::text, 'stderr'::text])))
);
create table mapping_version (
  account_id uuid not null,
  mapping_uid uuid not null,
  version bigint not null,
  path text not null,
  spec jsonb not null,
  seen_at timestamp(3) with time zone not null,
  constraint mapping_version_pkey PRIMARY KEY (account_id, mapping_uid, version)
);
create table migration (
  name text not null,
  sha256 text not null,
  applied_at timestamp(3) with time zone default now() not null,
  constraint migration_pkey PRIMARY KEY (name)
);
create table minted_token (
  account_id uuid not null,
  id uuid not null,
  connector_uid uuid not null,
  execution_id uuid not null,
  attempt_id uuid not null,
  audience text not null,
  subject text not null,
  claims jsonb not null,
  issued_at timestamp(3) with time zone not null,
  expires_at timestamp(3) with time zone not null,
  key_id text,
  constraint minted_token_pkey PRIMARY KEY (account_id, id)
);
create table node (
  id uuid not null,
  started_at timestamp(3) with time zone not null,
  seen_at timestamp(3) with time zone not null,
  constraint node_pkey PRIMARY KEY (id)
);
create table password (
  account_id uuid not null,
  user_uid uuid not null,
  hash text not null,
  updated_at timestamp(3) with time zone not null,
  constraint password_pkey PRIMARY KEY (account_id, user_uid)
);
create table permission_use (
  account_id uuid not null,
  subject_uid uuid not null,
  permission text not null,
  scope text not null,
  last_used date not null,
  constraint permission_use_pkey PRIMARY KEY (account_id, subject_uid, permission, scope)
);
create table rate_bucket (
  key text not null,
  tokens double precision not null,
  updated_at timestamp(3) with time zone not null,
  constraint rate_bucket_pkey PRIMARY KEY (key)
);
create table resource (
  account_id uuid not null,
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
  created_at timestamp(3) with time zone not null,
  created_by text not null,
  updated_at timestamp(3) with time zone not null,
  updated_by text not null,
  constraint resource_pkey PRIMARY KEY (account_id, uid),
  constraint resource_account_id_kind_scope_uid_identifier_key UNIQUE (account_id, kind, scope_uid, identifier)
);
create table resource_ref (
  account_id uuid not null,
  from_uid uuid not null,
  pointer text not null,
  to_uid uuid not null,
  constraint resource_ref_pkey PRIMARY KEY (account_id, from_uid, pointer)
);
create table retired_identifier (
  account_id uuid not null,
  kind text not null,
  scope text not null,
  identifier text not null,
  uid uuid not null,
  retired_at timestamp(3) with time zone not null,
  constraint retired_identifier_pkey PRIMARY KEY (account_id, kind, scope, identifier)
);
create table root_key (
  id uuid not null,
  check_value bytea not null,
  created_at timestamp(3) with time zone not null,
  retired_at timestamp(3) with time zone,
  constraint root_key_pkey PRIMARY KEY (id)
);
create table runner (
  account_id uuid not null,
  id uuid not null,
  scope text not null,
  identifier text not null,
  labels jsonb not null,
  signing_key jsonb not null,
  sealing_key jsonb not null,
  state text not null,
  created_at timestamp(3) with time zone not null,
  created_by text not null,
  seen_at timestamp(3) with time zone,
  constraint runner_pkey PRIMARY KEY (account_id, id),
  constraint runner_account_id_scope_identifier_key UNIQUE (account_id, scope, identifier),
  constraint runner_state_check CHECK ((state = ANY (ARRAY['active'::text, 'paused'::text, 'removed'::text])))
);
create table runner_registration (
  account_id uuid not null,
  id uuid not null,
  hash bytea not null,
  scope text not null,
  identifier text not null,
  labels jsonb not null,
  created_at timestamp(3) with time zone not null,
  created_by text not null,
  made_with text,
  expires_at timestamp(3) with time zone not null,
  revoked_at timestamp(3) with time zone,
  runner_id uuid,
  constraint runner_registration_pkey PRIMARY KEY (account_id, id),
  constraint runner_registration_account_id_hash_key UNIQUE (account_id, hash)
);
create table sealed_output (
  account_id uuid not null,
  id uuid not null,
  execution_id uuid not null,
  sealed bytea not null,
  created_at timestamp(3) with time zone not null,
  constraint sealed_output_pkey PRIMARY KEY (account_id, id)
);
create table secret_version (
  account_id uuid not null,
  resource_uid uuid not null,
  pointer text not null,
  version bigint not null,
  sealed bytea not null,
  digest bytea not null,
  created_at timestamp(3) with time zone not null,
  constraint secret_version_pkey PRIMARY KEY (account_id, resource_uid, pointer, version)
);
create table signing_key (
  account_id uuid not null,
  id text not null,
  purpose text not null,
  algorithm text not null,
  sealed bytea not null,
  created_at timestamp(3) with time zone not null,
  retired_at timestamp(3) with time zone,
  signs_from timestamp(3) with time zone,
  revoked_at timestamp(3) with time zone,
  constraint signing_key_pkey PRIMARY KEY (account_id, id),
  constraint signing_key_life CHECK ((((purpose = 'mint'::text) = (signs_from IS NOT NULL)) AND ((purpose = 'mint'::text) OR (revoked_at IS NULL)))),
  constraint signing_key_purpose_check CHECK ((purpose = ANY (ARRAY['checkpoint'::text, 'session'::text, 'mint'::text])))
);
create table used_jti (
  account_id uuid not null,
  used_by text not null,
  jti bytea not null,
  keep_until timestamp(3) with time zone not null,
  constraint used_jti_pkey PRIMARY KEY (account_id, used_by, jti)
);
create table workload_session (
  account_id uuid not null,
  id uuid not null,
  issuer_uid uuid not null,
  issuer text not null,
  subject text not null,
  label text not null,
  claims jsonb not null,
  proof jsonb not null,
  mappings jsonb not null,
  mapping_uids uuid[] not null,
  token_hash bytea not null,
  created_at timestamp(3) with time zone not null,
  expires_at timestamp(3) with time zone not null,
  revoked_at timestamp(3) with time zone,
  revoked_by text,
  bounds jsonb,
  confirmation jsonb,
  direct boolean default false not null,
  recorded jsonb,
  constraint workload_session_pkey PRIMARY KEY (account_id, id)
);
create table audit_event_rest partition of audit_event DEFAULT;

-- Indexes
CREATE INDEX access_change_at ON public.access_change USING btree (at);
CREATE UNIQUE INDEX attempt_claim ON public.attempt USING btree (account_id, runner_id, claim_id) WHERE (claim_id IS NOT NULL);
CREATE INDEX attempt_leased ON public.attempt USING btree (lease_until) WHERE (status = ANY (ARRAY['leased'::text, 'started'::text]));
CREATE INDEX attempt_offered ON public.attempt USING btree (account_id, offered_at) WHERE (status = 'offered'::text);
CREATE INDEX audit_event_action ON public.audit_event USING btree (account_id, action, at DESC);
CREATE INDEX audit_event_actor ON public.audit_event USING btree (account_id, actor_uid, at DESC);
CREATE INDEX audit_event_claims ON public.audit_event USING gin ((((personal -> 'claims'::text) -> 'value'::text)) jsonb_path_ops) WITH (gin_pending_list_limit='256');
CREATE INDEX audit_event_latest ON public.audit_event USING btree (account_id, at DESC, id DESC);
CREATE INDEX audit_event_path ON public.audit_event USING btree (account_id, resource_path, at DESC) WHERE (resource_path IS NOT NULL);
CREATE INDEX audit_event_request ON public.audit_event USING btree (account_id, request_id, at DESC);
CREATE INDEX audit_event_resource ON public.audit_event USING btree (account_id, resource_uid, at DESC);
CREATE INDEX audit_event_scope ON public.audit_event USING btree (account_id, scope, at DESC);
CREATE INDEX audit_event_session ON public.audit_event USING btree (account_id, session_id, at DESC) WHERE (session_id IS NOT NULL);
CREATE INDEX audit_event_token ON public.audit_event USING btree (account_id, ((detail ->> 'tokenSha256'::text)), at DESC) WHERE (detail ? 'tokenSha256'::text);
CREATE UNIQUE INDEX audit_leaf_event ON public.audit_leaf USING btree (account_id, event_id);
CREATE INDEX caught_token_keep ON public.caught_token USING btree (keep_until);
CREATE INDEX credential_parent ON public.credential USING btree (account_id, parent_id) WHERE (parent_id IS NOT NULL);
CREATE INDEX credential_principal ON public.credential USING btree (account_id, principal_type, principal_uid);
CREATE INDEX execution_open ON public.execution USING btree (account_id, id) WHERE (ended_at IS NULL);
CREATE INDEX execution_pipeline ON public.execution USING btree (account_id, pipeline_uid, created_at DESC);
CREATE INDEX execution_scope ON public.execution USING btree (account_id, scope, created_at DESC, id DESC);
CREATE INDEX execution_starter ON public.execution USING btree (account_id, scope, starter_uid);
CREATE INDEX idempotency_created ON public.idempotency USING btree (created_at);
CREATE INDEX job_due ON public.job USING btree (run_at);
CREATE INDEX minted_token_connector ON public.minted_token USING btree (account_id, connector_uid, issued_at DESC);
CREATE INDEX minted_token_execution ON public.minted_token USING btree (account_id, execution_id);
CREATE INDEX permission_use_age ON public.permission_use USING btree (last_used);
CREATE INDEX resource_applied_set ON public.resource USING btree (account_id, applied_set) WHERE (applied_set IS NOT NULL);
CREATE INDEX resource_scope ON public.resource USING btree (account_id, scope_uid, kind);
CREATE INDEX resource_ref_to ON public.resource_ref USING btree (account_id, to_uid);
CREATE UNIQUE INDEX signing_key_current ON public.signing_key USING btree (account_id, purpose, algorithm) WHERE ((retired_at IS NULL) AND (purpose <> 'mint'::text));
CREATE UNIQUE INDEX signing_key_mint ON public.signing_key USING btree (account_id, algorithm, signs_from) WHERE (purpose = 'mint'::text);
CREATE INDEX used_jti_keep ON public.used_jti USING btree (account_id, keep_until);
CREATE UNIQUE INDEX workload_session_direct ON public.workload_session USING btree (account_id, token_hash) WHERE direct;
CREATE INDEX workload_session_expiry ON public.workload_session USING btree (account_id, expires_at);
CREATE INDEX workload_session_issuer ON public.workload_session USING btree (account_id, issuer_uid);
CREATE INDEX workload_session_mappings ON public.workload_session USING gin (mapping_uids);
CREATE INDEX workload_session_subject ON public.workload_session USING btree (account_id, subject);

-- Foreign keys
alter table access_change add constraint access_change_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id);
alter table attempt add constraint attempt_account_id_execution_id_fkey FOREIGN KEY (account_id, execution_id) REFERENCES execution(account_id, id);
alter table attempt_delivery add constraint attempt_delivery_account_id_attempt_id_fkey FOREIGN KEY (account_id, attempt_id) REFERENCES attempt(account_id, id);
alter table caught_token add constraint caught_token_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id);
alter table credential add constraint credential_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id);
alter table data_key add constraint data_key_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id);
alter table data_key add constraint data_key_root_key_id_fkey FOREIGN KEY (root_key_id) REFERENCES root_key(id);
alter table execution add constraint execution_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id);
alter table execution_event add constraint execution_event_account_id_execution_id_fkey FOREIGN KEY (account_id, execution_id) REFERENCES execution(account_id, id);
alter table id_drift add constraint id_drift_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id);
alter table issuer_catch add constraint issuer_catch_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id);
alter table issuer_keys add constraint issuer_keys_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id);
alter table mapping_version add constraint mapping_version_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id);
alter table minted_token add constraint minted_token_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id);
alter table password add constraint password_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id);
alter table permission_use add constraint permission_use_account_id_subject_uid_fkey FOREIGN KEY (account_id, subject_uid) REFERENCES resource(account_id, uid) ON DELETE CASCADE;
alter table resource add constraint resource_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id);
alter table resource_ref add constraint resource_ref_account_id_from_uid_fkey FOREIGN KEY (account_id, from_uid) REFERENCES resource(account_id, uid) ON DELETE CASCADE;
alter table retired_identifier add constraint retired_identifier_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id);
alter table runner add constraint runner_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id);
alter table runner_registration add constraint runner_registration_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id);
alter table secret_version add constraint secret_version_account_id_resource_uid_fkey FOREIGN KEY (account_id, resource_uid) REFERENCES resource(account_id, uid) ON DELETE CASCADE;
alter table signing_key add constraint signing_key_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id);
alter table used_jti add constraint used_jti_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id);
alter table workload_session add constraint workload_session_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id);

-- Grants
grant usage on schema public to sallyport_app;
grant delete, insert, select, update on
  access_change,
  account,
  attempt,
  attempt_delivery,
  audit_head,
  audit_pending,
  caught_token,
  credential,
  data_key,
  execution,
  execution_event,
  id_drift,
  idempotency,
  issuer_catch,
  issuer_keys,
  job,
  log_segment,
  mapping_version,
  minted_token,
  node,
  password,
  permission_use,
  rate_bucket,
  resource,
  resource_ref,
  retired_identifier,
  root_key,
  runner,
  runner_registration,
  sealed_output,
  secret_version,
  signing_key,
  used_jti,
  workload_session
  to sallyport_app;
grant insert, select on
  audit_checkpoint,
  audit_event,
  audit_leaf
  to sallyport_app;
grant select on
  migration
  to sallyport_app;
