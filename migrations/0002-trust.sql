-- What a workload got for its token: verified claims and the mappings that matched, as they were then.
create table workload_session (
  account_id uuid not null references account (id),
  id uuid not null,
  issuer_uid uuid not null,
  issuer text not null,
  subject text not null,
  label text not null,
  claims jsonb not null,
  -- What of the issuer's rules and keys the token was believed by.
  proof jsonb not null,
  mappings jsonb not null,
  mapping_uids uuid[] not null,
  token_hash bytea not null,
  created_at timestamptz(3) not null,
  expires_at timestamptz(3) not null,
  revoked_at timestamptz(3),
  revoked_by text,
  primary key (account_id, id)
);
create index workload_session_subject on workload_session (account_id, subject);
create index workload_session_issuer on workload_session (account_id, issuer_uid);
create index workload_session_mappings on workload_session using gin (mapping_uids);
create index workload_session_expiry on workload_session (account_id, expires_at);

-- Documents of mappings as sessions met them, so that what a version said can still be read.
create table mapping_version (
  account_id uuid not null references account (id),
  mapping_uid uuid not null,
  version bigint not null,
  path text not null,
  spec jsonb not null,
  seen_at timestamptz(3) not null,
  primary key (account_id, mapping_uid, version)
);

-- The last good key set of an issuer that is fetched: what tokens are verified by while the issuer cannot be reached.
create table issuer_keys (
  account_id uuid not null references account (id),
  issuer_uid uuid not null,
  -- Changes with the place the keys come from.
  source text not null,
  jwks bytea not null,
  fetched_at timestamptz(3) not null,
  primary key (account_id, issuer_uid)
);
