-- Ingest policies that an operator set for a tenant, over that of the process' file. A change is a new version; the newest
-- one holds, and some before are kept to look at and to go back to.
create table tenant_policies (
  tenant text collate "C" not null,
  version bigint not null,
  -- JSON of the whole policy; empty where it was taken back, so that readers see the change.
  policy text not null,
  -- Grows with every change of any tenant, in the order of commits.
  generation bigint not null,
  changed_at timestamptz not null default now(),
  primary key (tenant, version)
);
create index tenant_policies_by_generation on tenant_policies (generation);
