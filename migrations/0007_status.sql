-- Since when a lease has been held: what people ask first when a duty does not run. Old programs leave it at the time
-- of the row's first term.
alter table leases add column acquired_at timestamptz not null default now();
