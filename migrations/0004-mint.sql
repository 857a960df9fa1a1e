-- Every token minted: who for, by which step, until when.
create table minted_token (
  account_id uuid not null references account (id),
  id uuid not null,
  connector_uid uuid not null,
  execution_id uuid not null,
  attempt_id uuid not null,
  audience text not null,
  subject text not null,
  claims jsonb not null,
  issued_at timestamptz(3) not null,
  expires_at timestamptz(3) not null,
  primary key (account_id, id)
);
create index minted_token_connector on minted_token (account_id, connector_uid, issued_at desc);
create index minted_token_execution on minted_token (account_id, execution_id);
