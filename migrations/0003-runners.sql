-- Runners: their public keys and where they may work. A row stays when its runner is removed, so that its name is not given out twice.
create table runner (
  account_id uuid not null references account (id),
  id uuid not null,
  scope text not null,
  identifier text not null,
  labels jsonb not null,
  signing_key jsonb not null,
  sealing_key jsonb not null,
  state text not null check (state in ('active', 'paused', 'removed')),
  created_at timestamptz(3) not null,
  created_by text not null,
  seen_at timestamptz(3),
  primary key (account_id, id),
  unique (account_id, scope, identifier)
);

-- One-time tokens, kept as hashes, each good for one runner.
create table runner_registration (
  account_id uuid not null references account (id),
  id uuid not null,
  hash bytea not null,
  scope text not null,
  identifier text not null,
  labels jsonb not null,
  created_at timestamptz(3) not null,
  created_by text not null,
  -- Credential it was made with, `kind:id`: when it is used, that one must still be good for making it. Null = by the server itself.
  made_with text,
  expires_at timestamptz(3) not null,
  revoked_at timestamptz(3),
  -- Null until it was used; the runner that used it may ask again when the answer did not arrive.
  runner_id uuid,
  primary key (account_id, id),
  unique (account_id, hash)
);
