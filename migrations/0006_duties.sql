-- Duties that one process at a time has: when each is due, and how its last run went. Who may run one is the row of its
-- name in leases. The beginning of a run counts as a failure until its end says otherwise, so that a duty which kills its
-- process is slowed down like one that fails.
create table duties (
  name text collate "C" primary key,
  holder text not null,
  epoch bigint not null,
  started_at timestamptz not null default now(),
  finished_at timestamptz,
  due_at timestamptz not null,
  failures integer not null default 0 check (failures >= 0),
  last_error text,
  last_error_at timestamptz
);
