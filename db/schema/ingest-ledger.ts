/** What became of pushes, and what tenants used. */
import { bigint, index, pgTable, primaryKey, text, timestamp } from 'drizzle-orm/pg-core'

const count = (name: string) => bigint(name, { mode: 'number' }).notNull()

/** Unlogged. */
export const ingestLedger = pgTable(
  'ingest_ledger',
  {
    tenant: text('tenant').notNull(),
    /** Empty: of no service, or of those past what is counted one by one. */
    service: text('service').notNull(),
    minuteMs: count('minute_ms'),
    outcome: text('outcome').notNull(),
    reason: text('reason').notNull(),
    profiles: count('profiles'),
    bytes: count('bytes'),
    decompressedBytes: count('decompressed_bytes'),
    message: text('message').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.tenant, table.service, table.minuteMs, table.outcome, table.reason] }),
    index('ingest_ledger_by_minute').on(table.minuteMs),
  ],
)

export const ledgerSources = pgTable(
  'ledger_sources',
  {
    source: text('source').primaryKey(),
    sequence: count('sequence'),
    seenAt: timestamp('seen_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [index('ledger_sources_by_age').on(table.seenAt)],
)

export const tenantUsage = pgTable(
  'tenant_usage',
  {
    tenant: text('tenant').notNull(),
    dayMs: count('day_ms'),
    profiles: count('profiles'),
    bytesIn: count('bytes_in'),
    decompressedBytes: count('decompressed_bytes'),
  },
  (table) => [primaryKey({ columns: [table.tenant, table.dayMs] }), index('tenant_usage_by_day').on(table.dayMs)],
)
