-- What tenants bring to a writer, of what their limits allow over all writers; told and forgotten with its rates.
alter table writer_rates add column demand_tenants text[] not null default '{}';
alter table writer_rates add column demands float8[] not null default '{}';

-- One row: the same of all writers together, of tenants near their limits that several writers tell of. Not logged: a crash
-- of Postgres forgets what the next pass sums again.
create unlogged table tenant_demands (
  is_only boolean primary key default true check (is_only),
  tenants text[] not null,
  loads float8[] not null,
  writers int[] not null
);
