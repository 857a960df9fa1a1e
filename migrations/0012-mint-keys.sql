-- Keys of minted tokens have a life: published, then signing from a time on, then published until their tokens are over.
alter table signing_key add column signs_from timestamptz(3), add column revoked_at timestamptz(3);
update signing_key set signs_from = created_at where purpose = 'mint';
alter table signing_key add constraint signing_key_life check ((purpose = 'mint') = (signs_from is not null) and (purpose = 'mint' or revoked_at is null));
drop index signing_key_current;
create unique index signing_key_current on signing_key (account_id, purpose, algorithm) where retired_at is null and purpose <> 'mint';
create unique index signing_key_mint on signing_key (account_id, algorithm, signs_from) where purpose = 'mint';

-- Null = minted before keys had a life.
alter table minted_token add column key_id text;
