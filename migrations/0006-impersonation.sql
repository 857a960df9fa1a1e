-- A credential by which one principal acts as another, with no more than both may do.
alter table credential
  drop constraint credential_kind_check,
  add constraint credential_kind_check check (kind in ('setup', 'bootstrap', 'personal', 'service_account', 'impersonation')),
  add column actor_type text,
  add column actor_uid text,
  add constraint credential_actor_check check ((kind = 'impersonation') = (actor_type is not null) and (kind = 'impersonation') = (actor_uid is not null));
