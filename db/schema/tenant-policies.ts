/** Ingest policies that an operator set for tenants, with the versions before. */
import { bigint, index, pgTable, primaryKey, text, timestamp } from 'drizzle-orm/pg-core'

export const tenantPolicies = pgTable(
  'tenant_policies',
  {
    tenant: text('tenant').notNull(),
    version: bigint('version', { mode: 'number' }).notNull(),
    policy: text('policy').notNull(),
    generation: bigint('generation', { mode: 'number' }).notNull(),
    changedAt: timestamp('changed_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.tenant, table.version] }),
    index('tenant_policies_by_generation').on(table.generation),
  ],
)
