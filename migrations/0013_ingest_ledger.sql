-- What became of pushes, by service and minute, for explanations of the last hour. Not logged: an hour of counts may be
-- lost with a crash of Postgres, and a push must not pay for it.
create unlogged table ingest_ledger (
  tenant text collate "C" not null,
  service text collate "C" not null,
  minute_ms bigint not null,
  outcome text collate "C" not null,
  reason text collate "C" not null,
  profiles bigint not null,
  bytes bigint not null,
  decompressed_bytes bigint not null,
  message text not null,
  primary key (tenant, service, minute_ms, outcome, reason)
);
create index ingest_ledger_by_minute on ingest_ledger (minute_ms);

-- The last batch of each process that counts: one that comes again changes nothing.
create table ledger_sources (
  source text collate "C" primary key,
  sequence bigint not null,
  seen_at timestamptz not null default now()
);
create index ledger_sources_by_age on ledger_sources (seen_at);

-- What tenants had stored, by day (UTC).
create table tenant_usage (
  tenant text collate "C" not null,
  day_ms bigint not null,
  profiles bigint not null,
  bytes_in bigint not null,
  decompressed_bytes bigint not null,
  primary key (tenant, day_ms)
);
create index tenant_usage_by_day on tenant_usage (day_ms);
