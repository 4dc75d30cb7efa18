-- Limits that an operator changed for a tenant, over those of the process and of its file.
create table tenant_limits (
  tenant text collate "C" primary key,
  -- JSON of limit names and values; empty where all were taken back, so that readers see the change.
  overrides text not null,
  -- Grows with every change of any tenant, in the order of commits.
  generation bigint not null,
  changed_at timestamptz not null default now()
);
create index tenant_limits_by_generation on tenant_limits (generation);
