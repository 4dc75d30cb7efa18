/** Recording rules of tenants. */
import { sql } from 'drizzle-orm'
import { bigint, check, pgTable, primaryKey, text, timestamp } from 'drizzle-orm/pg-core'

export const recordingRules = pgTable(
  'recording_rules',
  {
    tenant: text('tenant').notNull(),
    id: text('id').notNull(),
    metricName: text('metric_name').notNull(),
    profileType: text('profile_type').notNull(),
    matchers: text('matchers').array().notNull(),
    groupBy: text('group_by').array().notNull(),
    externalLabels: text('external_labels').array().notNull(),
    functionName: text('function_name').notNull().default(''),
    generation: bigint('generation', { mode: 'number' }).notNull().default(1),
    changedAt: timestamp('changed_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.tenant, table.id] }),
    check('recording_rules_generation_check', sql`${table.generation} > 0`),
  ],
)
