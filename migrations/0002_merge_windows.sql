-- Compaction above level 1 takes datasets, not whole objects: one tenant's window out of objects that hold several.

-- A segment is in at most one open job (scope ''). An object of level 1 or above may be in several at once, each under the
-- scope of its window and first dataset. The commit judges every dataset by its locked row, so that of two jobs that
-- hold one all the same the second is stale.
alter table job_sources add column scope text collate "C" not null default '';
alter table job_sources drop constraint job_sources_pkey;
alter table job_sources add primary key (object_id, scope);

-- What may still be merged, oldest window first. 7 is the last level (core/compaction/policy.ts).
create index datasets_waiting on datasets (window_start_ms) where is_live and level < 7;
