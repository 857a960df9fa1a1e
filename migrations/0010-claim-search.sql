-- What was written last is looked through one by one until it is merged into the index: 4 MB of it took 25 ms a search.
drop index audit_event_claims;
create index audit_event_claims on audit_event using gin ((personal -> 'claims' -> 'value') jsonb_path_ops) with (gin_pending_list_limit = 256);
