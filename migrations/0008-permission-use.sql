-- On which day somebody last made use of a permission in a scope. The subject is a user, a service account or the claim
-- mapping a session came by, and its rows go with it.
create table permission_use (
  account_id uuid not null,
  subject_uid uuid not null,
  permission text not null,
  scope text not null,
  last_used date not null,
  primary key (account_id, subject_uid, permission, scope),
  foreign key (account_id, subject_uid) references resource (account_id, uid) on delete cascade
);
create index permission_use_age on permission_use (last_used);

-- Nothing is known of the time before: of an account that is there already, that is the day of this migration.
alter table account add column uses_recorded_since timestamptz(3) not null default now();
