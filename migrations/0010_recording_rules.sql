-- Recording rules: what of the profiles becomes a metric. Stored for their tenants; nothing evaluates them yet.
create table recording_rules (
  tenant text collate "C" not null,
  id text collate "C" not null,
  metric_name text not null,
  profile_type text not null,
  -- Selectors, as they were written.
  matchers text[] not null,
  group_by text[] not null,
  -- name, value, name, value, …
  external_labels text[] not null,
  -- '': the totals of whole profiles.
  function_name text not null default '',
  -- Grows with every change: who changes a rule says which one was read.
  generation bigint not null default 1 check (generation > 0),
  changed_at timestamptz not null default now(),
  primary key (tenant, id)
);
