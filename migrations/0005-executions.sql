-- A run of a pipeline: its fixed plan and record, whose rights it runs with (sealed), and where it is.
create table execution (
  account_id uuid not null references account (id),
  id uuid not null,
  pipeline_uid uuid not null,
  pipeline_path text not null,
  sequence_id integer not null,
  scope text not null,
  plan jsonb not null,
  record jsonb not null,
  run_grant bytea not null,
  starter_uid text not null,
  -- Projection of the events, without plan and record.
  state jsonb not null,
  status text not null,
  events integer not null,
  created_at timestamptz(3) not null,
  ended_at timestamptz(3),
  primary key (account_id, id),
  unique (account_id, pipeline_uid, sequence_id)
);
create index execution_scope on execution (account_id, scope, created_at desc, id desc);
create index execution_pipeline on execution (account_id, pipeline_uid, created_at desc);
create index execution_starter on execution (account_id, scope, starter_uid);
create index execution_open on execution (account_id, id) where ended_at is null;

create table execution_event (
  account_id uuid not null,
  execution_id uuid not null,
  seq integer not null,
  event jsonb not null,
  at timestamptz(3) not null,
  primary key (account_id, execution_id, seq),
  foreign key (account_id, execution_id) references execution (account_id, id)
);

create table attempt (
  account_id uuid not null,
  id uuid not null,
  execution_id uuid not null,
  step_uid text not null,
  number integer not null,
  status text not null check (status in ('offered', 'leased', 'started', 'ended', 'lost', 'withdrawn')),
  -- Grows with every lease; whoever writes with an older one is refused.
  fence bigint not null,
  runner_id uuid,
  claim_id text,
  lease_until timestamptz(3),
  -- No lease lasts longer, however often it is renewed.
  lease_limit timestamptz(3),
  cancel boolean not null default false,
  timeout_ms bigint not null,
  -- What a runner must have to be given it.
  labels jsonb not null default '[]',
  -- Version of the secrets its output must be masked with; grows with every addition.
  mask_set integer not null default 1,
  offered_at timestamptz(3) not null,
  started_at timestamptz(3),
  ended_at timestamptz(3),
  result_hash bytea,
  log_totals jsonb,
  -- How much of each stream is stored, so that neither who writes nor who reads a log looks through it for its end.
  stdout_bytes bigint not null default 0,
  stderr_bytes bigint not null default 0,
  primary key (account_id, id),
  unique (account_id, execution_id, step_uid, number),
  foreign key (account_id, execution_id) references execution (account_id, id)
);
create index attempt_offered on attempt (account_id, offered_at) where status = 'offered';
create index attempt_leased on attempt (lease_until) where status in ('leased', 'started');
create unique index attempt_claim on attempt (account_id, runner_id, claim_id) where claim_id is not null;

-- What a lease was given, sealed, so that a runner whose answer got lost is given the same again. Gone with the start.
create table attempt_delivery (
  account_id uuid not null,
  attempt_id uuid not null,
  sealed bytea not null,
  at timestamptz(3) not null,
  primary key (account_id, attempt_id),
  foreign key (account_id, attempt_id) references attempt (account_id, id)
);

-- Values of outputs that hold a secret.
create table sealed_output (
  account_id uuid not null,
  id uuid not null,
  execution_id uuid not null,
  sealed bytea not null,
  created_at timestamptz(3) not null,
  primary key (account_id, id)
);

create table log_segment (
  account_id uuid not null,
  attempt_id uuid not null,
  stream text not null check (stream in ('stdout', 'stderr')),
  start_offset bigint not null,
  bytes bytea not null,
  mask_version integer not null,
  at timestamptz(3) not null,
  primary key (account_id, attempt_id, stream, start_offset)
);
