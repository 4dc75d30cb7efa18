/** Settings that user interfaces keep for a tenant. */
import { bigint, pgTable, primaryKey, text, timestamp } from 'drizzle-orm/pg-core'

export const tenantSettings = pgTable(
  'tenant_settings',
  {
    tenant: text('tenant').notNull(),
    name: text('name').notNull(),
    value: text('value').notNull(),
    modifiedAtMs: bigint('modified_at_ms', { mode: 'number' }).notNull(),
    changedAt: timestamp('changed_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.tenant, table.name] })],
)
