-- The metastore: which objects exist, which of their datasets are live, what is to be compacted and deleted.
-- PostgreSQL 15 level. Ids and names compare by byte (collate "C"): one lock order everywhere, and faster than ICU.

-- Every object id ever registered. Whoever inserts an id first decides its fate: a commit, or the collector of orphans
-- (which sets retired_at). So a late commit of a collected object can never publish.
create table object_ids (
  id text collate "C" primary key,
  registered_at timestamptz not null default now(),
  retired_at timestamptz
);

-- One row per object. live_datasets counts down; the statement that brings it to zero writes the tombstone.
-- skip_dataset and skip_position are the first verdict of a segment, repeated to every replay of its commit.
create table objects (
  id text collate "C" primary key,
  level integer not null check (level >= 0),
  size_bytes bigint not null check (size_bytes >= 0),
  live_datasets integer not null check (live_datasets >= 0),
  created_at timestamptz not null default now(),
  skip_dataset integer[] not null default '{}',
  skip_position integer[] not null default '{}',
  deleted_at timestamptz
);
create index objects_deleted on objects (deleted_at) where deleted_at is not null;

-- Level 0: one row per object, its datasets packed in arrays. Element i + 1 and bit i belong to dataset i.
-- Partitions are ranges of arrival time: they are dropped whole, so that nothing is deleted row by row.
create table segments (
  object_id text collate "C" not null,
  created_at timestamptz not null default now(),
  size_bytes bigint not null,
  min_time_ms bigint not null,
  max_time_ms bigint not null,
  live bit varying not null,
  is_live boolean not null,
  tenant text[] collate "C" not null,
  service text[] collate "C" not null,
  window_start_ms bigint[] not null,
  window_ms bigint[] not null,
  dataset_min_time_ms bigint[] not null,
  dataset_max_time_ms bigint[] not null,
  dataset_offset bigint[] not null,
  dataset_size_bytes bigint[] not null,
  head_bytes bigint[] not null,
  profile_count integer[] not null,
  sample_count bigint[] not null,
  skip_dataset integer[] not null,
  skip_position integer[] not null,
  primary key (created_at, object_id),
  check (is_live = (position(B'1' in live) > 0))
) partition by range (created_at);

-- Live rows are a few seconds of arrivals; the retired ones of a partition are many. Every read wants the live ones.
create index segments_live on segments (max_time_ms, min_time_ms) where is_live;
create table segments_default partition of segments default;

-- Level 1 and up: one row per dataset, in partitions by the day of its window.
create table datasets (
  object_id text collate "C" not null,
  dataset_index integer not null,
  level integer not null,
  object_size_bytes bigint not null,
  is_live boolean not null default true,
  tenant text collate "C" not null,
  service text collate "C" not null,
  window_start_ms bigint not null,
  window_ms bigint not null,
  min_time_ms bigint not null,
  max_time_ms bigint not null,
  dataset_offset bigint not null,
  size_bytes bigint not null,
  head_bytes bigint not null,
  profile_count integer not null,
  sample_count bigint not null,
  skip_positions integer[] not null default '{}',
  primary key (window_start_ms, object_id, dataset_index)
) partition by range (window_start_ms);

create index datasets_live on datasets (tenant, max_time_ms, min_time_ms) where is_live;
create index datasets_by_object on datasets (object_id, dataset_index);
create table datasets_default partition of datasets default;

-- Which profiles were counted in the last 15 minutes. The key is the id alone, so that two commits of one id meet
-- here whatever their shard, writer or time. All rows of a commit share created_at, which the index folds into one entry.
create table profile_ids (
  id bytea primary key check (length(id) = 16),
  created_at timestamptz not null default now()
) with (autovacuum_vacuum_scale_factor = 0.05);
create index profile_ids_by_age on profile_ids (created_at);

create table label_sets (
  tenant text collate "C" not null,
  window_start_ms bigint not null,
  hash uuid not null,
  pairs text[] not null,
  primary key (tenant, window_start_ms, hash)
);

create table jobs (
  id bigserial primary key,
  state text not null check (state in ('queued', 'running', 'parked', 'done', 'stale')),
  level integer not null,
  size_bytes bigint not null,
  -- Smallest first, with ageing: seconds of creation plus one second per MiB (core/compaction/policy.ts).
  rank double precision not null,
  epoch bigint not null default 0,
  holder text,
  expires_at timestamptz,
  failures integer not null default 0,
  not_before timestamptz not null default now(),
  reason text,
  output_ids text[] collate "C",
  stale_object_ids text[] collate "C",
  created_at timestamptz not null default now(),
  finished_at timestamptz,
  check ((state = 'running') = (holder is not null))
) with (fillfactor = 70);
create index jobs_queued on jobs (rank) where state = 'queued';
create index jobs_running on jobs (expires_at) where state = 'running';
create index jobs_finished on jobs (finished_at) where state in ('done', 'stale');

-- The sources of open jobs only: the key is the object alone, so an object is in at most one open job.
-- indexes and skips are what was live when the job was planned; the commit compares them with the locked rows.
create table job_sources (
  object_id text collate "C" primary key,
  job_id bigint not null references jobs (id) on delete cascade,
  indexes integer[] not null,
  skip_dataset integer[] not null,
  skip_position integer[] not null
);
create index job_sources_by_job on job_sources (job_id);

create table leases (
  name text collate "C" primary key,
  holder text not null,
  epoch bigint not null,
  expires_at timestamptz not null
);

create table tombstones (
  object_id text collate "C" primary key,
  due_at timestamptz not null,
  holder text,
  epoch bigint not null default 0,
  expires_at timestamptz
);
create index tombstones_due on tombstones (due_at);

create table writers (
  writer_id text collate "C" primary key,
  address text not null,
  epoch bigint not null,
  expires_at timestamptz not null
);
