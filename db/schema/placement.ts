/** Which writers own which slots. Registrations are in jobs.ts. */
import { bigint, boolean, check, doublePrecision, integer, pgTable, text, timestamp } from 'drizzle-orm/pg-core'
import { sql } from 'drizzle-orm'

/** Unlogged. */
export const writerRates = pgTable('writer_rates', {
  writerId: text('writer_id').primaryKey(),
  tenants: text('tenants').array().notNull(),
  services: text('services').array().notNull(),
  bytesPerSecond: doublePrecision('bytes_per_second').array().notNull(),
  profilesPerSecond: doublePrecision('profiles_per_second').array().notNull(),
  restBytesPerSecond: doublePrecision('rest_bytes_per_second').notNull(),
  restProfilesPerSecond: doublePrecision('rest_profiles_per_second').notNull(),
  demandTenants: text('demand_tenants').array().notNull().default([]),
  demands: doublePrecision('demands').array().notNull().default([]),
})

/** One row, unlogged. */
export const tenantDemands = pgTable(
  'tenant_demands',
  {
    isOnly: boolean('is_only').primaryKey().default(true),
    tenants: text('tenants').array().notNull(),
    loads: doublePrecision('loads').array().notNull(),
    writers: integer('writers').array().notNull(),
  },
  (table) => [check('tenant_demands_is_only_check', sql`${table.isOnly}`)],
)

/** One row. */
export const placement = pgTable(
  'placement',
  {
    isOnly: boolean('is_only').primaryKey().default(true),
    generation: bigint('generation', { mode: 'number' }).notNull(),
    content: text('content').notNull(),
    state: text('state').notNull(),
    changedAt: timestamp('changed_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [check('placement_is_only_check', sql`${table.isOnly}`)],
)

export const placementTenants = pgTable(
  'placement_tenants',
  {
    tenant: text('tenant').primaryKey(),
    width: integer('width').notNull(),
  },
  (table) => [check('placement_tenants_width_check', sql`${table.width} > 0`)],
)
