-- Jobs that are open stand in generations. While a transaction holds an old snapshot nothing that was claimed leaves the
-- indexes of the queue, and every claim would walk over it. So the queue turns: what is open moves on to a new generation,
-- and what is behind it is not looked at any more (db/sql/queue-generations.ts). 0 is that of jobs made by older programs;
-- it is always looked at.
alter table jobs add column generation bigint not null default 0;
create index jobs_claimable on jobs (generation, level, tenant, rank) where state = 'queued';
create index jobs_held on jobs (generation, expires_at) where state = 'running';
drop index jobs_by_flow;
drop index jobs_queued;
drop index jobs_running;

-- One row. New jobs are of the newest generation; from oldest on they are looked at; a turn is over when both are equal.
create table queue_generations (
  id integer primary key default 1 check (id = 1),
  oldest bigint not null default 1,
  newest bigint not null default 1,
  -- How many jobs the last turn moved: what the next will cost.
  moved bigint not null default 0,
  check (oldest <= newest)
);
insert into queue_generations default values;
analyze queue_generations;
