-- Deletion of tenants, retention rules, and deletions that a store refuses.

-- Tenants that were deleted at least once; all others are at incarnation 1. incarnation is that of data committed from
-- now on. What has a lower one than live_from is dead: no query, label answer, merge or rebuild may see it.
create table tenant_incarnations (
  tenant text collate "C" primary key,
  incarnation integer not null,
  live_from integer not null,
  -- When the newest dead incarnation died: an object that was begun before belongs to it, however late its commit.
  died_at timestamptz not null,
  -- Its removal has begun: what still arrives of it is dead on arrival, and cannot come back.
  is_final boolean not null default false,
  check (live_from <= incarnation)
);

-- A deletion and, once it is done, its receipt. Counts are what was found and what is gone.
create table tenant_deletions (
  id bigserial primary key,
  tenant text collate "C" not null,
  state text not null check (state in ('hiding', 'hidden', 'removing', 'done', 'restoring', 'restored')),
  -- Data below is dead by this deletion. Undoing it sets back what an earlier one left: null, false if there was none.
  dead_below integer not null,
  previous_live_from integer not null,
  previous_died_at timestamptz,
  previous_is_final boolean not null default false,
  requested_at timestamptz not null default now(),
  remove_at timestamptz not null,
  removing_at timestamptz,
  finished_at timestamptz,
  dataset_count bigint not null default 0,
  profile_count bigint not null default 0,
  size_bytes bigint not null default 0,
  oldest_ms bigint,
  newest_ms bigint,
  label_set_count bigint not null default 0,
  check ((finished_at is not null) = (state in ('done', 'restored')))
);
-- One that can still be undone, and any number that cannot.
create unique index tenant_deletions_open on tenant_deletions (tenant) where state in ('hiding', 'hidden', 'restoring');
create index tenant_deletions_by_tenant on tenant_deletions (tenant, id);

-- Every object that holds data of a deletion, until it is gone from the store.
create table tenant_deletion_objects (
  deletion_id bigint not null references tenant_deletions (id) on delete cascade,
  object_id text collate "C" not null,
  -- Of the tenant's datasets in it.
  size_bytes bigint not null,
  is_shared boolean not null,
  gone_at timestamptz,
  primary key (deletion_id, object_id)
);

-- '' is every tenant, every service; the most specific rule counts. retention_ms: null inherits, 0 keeps for ever.
-- bound_ms is the highest data time below which anything was ever expired under the rule: it only grows.
create table retention_rules (
  tenant text collate "C" not null,
  service text collate "C" not null,
  retention_ms bigint check (retention_ms >= 0),
  bound_ms bigint not null default -9007199254740991,
  set_at timestamptz not null default now(),
  -- An announced shortening: what retention_ms becomes at pending_from, unless it is cancelled before.
  pending_ms bigint check (pending_ms >= 0),
  pending_from timestamptz,
  primary key (tenant, service)
);

-- Empty: every dataset is of incarnation 1.
alter table segments add column incarnation integer[] not null default '{}';
alter table datasets add column incarnation integer not null default 1;
-- The deletion that took a live dataset out of sight; it counts for its object until it is removed.
alter table datasets add column hidden_by bigint;
create index datasets_hidden on datasets (hidden_by) where hidden_by is not null;
-- A retired row stays until its object is gone, so that a deletion finds all objects that hold a tenant's data.
create index datasets_retired on datasets (tenant) where not is_live;

alter table label_sets add column incarnation integer not null default 1;
alter table label_sets drop constraint label_sets_pkey;
alter table label_sets add primary key (tenant, window_start_ms, hash, incarnation);

-- A store that allows no delete: tried again ever later, and visible.
alter table tombstones add column failures integer not null default 0;
alter table tombstones add column reason text;

-- Never analyzed, an empty table counts as ten pages: commits would be planned anew each time (0.7 ms), for being cheaper.
analyze tenant_incarnations;
analyze retention_rules;
