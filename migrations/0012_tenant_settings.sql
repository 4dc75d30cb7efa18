-- Settings that user interfaces keep for a tenant: texts by name.
create table tenant_settings (
  tenant text collate "C" not null,
  name text collate "C" not null,
  value text not null,
  -- By the clock of who wrote it: an older change than what is stored is refused.
  modified_at_ms bigint not null,
  changed_at timestamptz not null default now(),
  primary key (tenant, name)
);
