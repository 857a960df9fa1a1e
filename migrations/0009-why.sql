-- Claims of a session as the audit may have them, when some are redacted; null = all in clear.
alter table workload_session add column recorded jsonb;

-- Catch mode: whose verified tokens are watched for a while, and the claims of the last few.
create table issuer_catch (
  account_id uuid not null references account (id),
  issuer_uid uuid not null,
  -- Claim and value a token must have to be caught; null = any token of the issuer.
  tenant jsonb,
  until timestamptz(3) not null,
  started_at timestamptz(3) not null,
  started_by text not null,
  primary key (account_id, issuer_uid)
);
create table caught_token (
  account_id uuid not null references account (id),
  issuer_uid uuid not null,
  id uuid not null,
  at timestamptz(3) not null,
  outcome text not null,
  claims jsonb not null,
  detail jsonb not null,
  keep_until timestamptz(3) not null,
  primary key (account_id, issuer_uid, id)
);
create index caught_token_keep on caught_token (keep_until);

-- Exchanges by the hash of the outside token.
create index audit_event_token on audit_event (account_id, (detail ->> 'tokenSha256'), at desc) where detail ? 'tokenSha256';
