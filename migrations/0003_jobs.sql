-- The queue of compaction in full: whose jobs they are, what they cost, why they failed, who works, what is left alone.

-- tenant is the one tenant of all sources, '' if they have several. progress is what the worker says of itself.
-- arrival_tag is where the queue stood in the virtual time of fair queueing (core/compaction/claim-order.ts) when the job
-- came, tag where it began; null until its first claim. parent_id names the job that this one was split from; that row goes before its children.
alter table jobs
  add column tenant text collate "C" not null default '',
  add column tenants text[] collate "C" not null default '{}',
  add column arrival_tag double precision not null default 0,
  add column tag double precision,
  add column started_at timestamptz,
  add column progress real not null default 0,
  add column failure_kind text,
  add column parent_id bigint;

-- A claim looks at the first jobs of each flow, which is a level and a tenant, and at the last tag of the flow.
create index jobs_by_flow on jobs (level, tenant, rank) where state = 'queued';
create index jobs_by_tag on jobs (level, tenant, tag) where tag is not null;
create index jobs_parked on jobs (id) where state = 'parked';

-- Why a job failed, each time. A job that was split hands copies to its children.
create table job_failures (
  id bigserial primary key,
  job_id bigint not null references jobs (id) on delete cascade,
  failed_at timestamptz not null default now(),
  holder text not null,
  epoch bigint not null,
  kind text not null,
  reason text not null,
  -- Of the job that this one was split from.
  is_inherited boolean not null default false
);
create index job_failures_by_job on job_failures (job_id, id);
create index job_failures_by_time on job_failures (failed_at) where not is_inherited;

-- Who polls. Says nothing about leases.
create table workers (
  worker_id text collate "C" primary key,
  address text not null,
  version text not null,
  threads integer not null,
  capacity integer not null,
  budget_bytes bigint not null,
  used_bytes bigint not null,
  running integer not null,
  first_seen_at timestamptz not null default now(),
  seen_at timestamptz not null default now(),
  expires_at timestamptz not null
);

-- Datasets that no plan takes. dataset_index -1 stands for all that the tenant has in the object.
create table compaction_marks (
  object_id text collate "C" not null,
  tenant text collate "C" not null,
  dataset_index integer not null check (dataset_index >= -1),
  reason text not null,
  marked_at timestamptz not null default now(),
  primary key (object_id, tenant, dataset_index)
);

-- Tenants whose compaction somebody switched on or off; the policy decides about all others.
create table compaction_tenants (
  tenant text collate "C" primary key,
  is_enabled boolean not null,
  reason text not null,
  changed_at timestamptz not null default now()
);

-- A segment of which nothing may be planned, because its tenants are switched off or its datasets are marked: planning
-- does not look at it until somebody changes that. Without it every pass would walk through all of them.
alter table segments add column is_idle boolean not null default false;
create index segments_waiting on segments (created_at, object_id) where is_live and not is_idle;
create index segments_idle on segments (created_at, object_id) where is_live and is_idle;
