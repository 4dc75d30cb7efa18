/** Limits that an operator changed for a tenant. */
import { bigint, index, pgTable, text, timestamp } from 'drizzle-orm/pg-core'

export const tenantLimits = pgTable(
  'tenant_limits',
  {
    tenant: text('tenant').primaryKey(),
    overrides: text('overrides').notNull(),
    generation: bigint('generation', { mode: 'number' }).notNull(),
    changedAt: timestamp('changed_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [index('tenant_limits_by_generation').on(table.generation)],
)
