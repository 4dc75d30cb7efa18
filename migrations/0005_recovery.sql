-- What keeps index and bucket of one mind: the search for orphans, the commit counter, and long runs that compare,
-- restore or back up, with their progress.

-- The ids that orphans were retired under are forgotten after the age of the retired list.
create index object_ids_retired on object_ids (retired_at) where retired_at is not null;

-- Objects in the bucket that no commit has named yet, since when they were seen by the clock of this server.
create table orphan_candidates (
  object_id text collate "C" primary key,
  first_seen_at timestamptz not null default now()
);
create index orphan_candidates_by_age on orphan_candidates (first_seen_at);

-- One row. counter is never behind the one in the bucket, unless this database was restored; server is which life of
-- which cluster wrote it last. behind_since stands until a run has mended the index.
create table recovery_state (
  id integer primary key default 1 check (id = 1),
  counter bigint not null default 0,
  server text not null default '',
  behind_since timestamptz,
  behind_reason text,
  orphan_cursor text collate "C" not null default '',
  orphan_pass_due_at timestamptz not null default now(),
  orphans_retired bigint not null default 0,
  settings_dumped_at timestamptz
);
insert into recovery_state default values;

-- One at a time runs; the epoch is that of the lease under which it was taken up last.
create table recovery_runs (
  id text collate "C" primary key,
  kind text not null check (kind in ('rebuild', 'fsck', 'backup', 'restore')),
  state text not null default 'queued' check (state in ('queued', 'running', 'done', 'failed')),
  repair boolean not null default false,
  deep boolean not null default false,
  key text not null default '',
  epoch bigint not null default 0,
  phase text not null default '',
  cursor text collate "C" not null default '',
  done bigint not null default 0,
  total bigint not null default 0,
  report jsonb not null default '[]',
  error text,
  created_at timestamptz not null default now(),
  finished_at timestamptz
);

-- Footers that a rebuild has read, what it decided about their objects, and how far it is.
create table recovered_objects (
  object_id text collate "C" primary key,
  size_bytes bigint not null,
  level integer not null,
  footer jsonb not null,
  state text not null check (state in ('read', 'decided', 'adopted')),
  -- Dataset indexes that are live; empty = the object is garbage.
  live integer[] not null default '{}',
  -- Datasets of the index that this object replaces.
  retire_object text[] collate "C" not null default '{}',
  retire_index integer[] not null default '{}'
);
create index recovered_objects_open on recovered_objects (level, object_id) where state = 'decided';
