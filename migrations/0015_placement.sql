-- Writers: the process life behind a registration, what it says of itself, and since when.
alter table writers add column instance_id text collate "C" not null default '';
alter table writers add column state text not null default 'serving';
alter table writers add column registered_at timestamptz not null default now();

-- What writers take in, as they said last. Not logged: a crash of Postgres forgets what is told again within seconds.
create unlogged table writer_rates (
  writer_id text collate "C" primary key,
  tenants text[] not null,
  services text[] not null,
  bytes_per_second float8[] not null,
  profiles_per_second float8[] not null,
  -- Of all that has no name above.
  rest_bytes_per_second float8 not null,
  rest_profiles_per_second float8 not null
);

-- One row: the table that edges read, and what a pass leaves to the next.
create table placement (
  is_only boolean primary key default true check (is_only),
  generation bigint not null,
  content text not null,
  state text not null,
  -- Of the content.
  changed_at timestamptz not null default now()
);

-- Tenants that have fewer slots than all, by the hand of an operator.
create table placement_tenants (
  tenant text collate "C" primary key,
  width int not null check (width > 0)
);
