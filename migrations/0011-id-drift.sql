-- Which id a name had when a mapping that trusts the name first met it, per issuer and tenant.
create table id_drift (
  account_id uuid not null references account (id),
  issuer_uid uuid not null,
  -- SHA-256 of tenant, claim and name, which are as long as an issuer likes.
  pin bytea not null,
  tenant text not null,
  claim text not null,
  name text not null,
  id text not null,
  first_seen timestamptz(3) not null,
  -- Null = as first seen.
  accepted_at timestamptz(3),
  accepted_by text,
  -- What the name came with last that was not this id; null = nothing, since it was accepted.
  other_id text,
  other_seen timestamptz(3),
  refused bigint not null default 0,
  primary key (account_id, issuer_uid, pin)
);
