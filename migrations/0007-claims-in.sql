-- Sessions that ask for less, that are bound to a key, and that stand for an outside token used as it is.
alter table workload_session
  -- Null = as far as the mappings reach.
  add column bounds jsonb,
  -- What the caller must prove to hold (RFC 7800); null = whoever has the token.
  add column confirmation jsonb,
  add column direct boolean not null default false;
create unique index workload_session_direct on workload_session (account_id, token_hash) where direct;

-- What may be used once: tokens by mappings that say so, and proofs of possession.
create table used_jti (
  account_id uuid not null references account (id),
  used_by text not null,
  -- SHA-256 of who made it and its `jti`.
  jti bytea not null,
  keep_until timestamptz(3) not null,
  primary key (account_id, used_by, jti)
);
create index used_jti_keep on used_jti (account_id, keep_until);
