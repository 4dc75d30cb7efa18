/** Beside the queue of compaction: failures of jobs, the workers that poll, and what is left alone. */
import { bigint, bigserial, boolean, index, integer, pgTable, primaryKey, text, timestamp } from 'drizzle-orm/pg-core'
import { eq } from 'drizzle-orm'
import { jobs } from './jobs.ts'

/** Why a job failed, each time. */
export const jobFailures = pgTable(
  'job_failures',
  {
    id: bigserial('id', { mode: 'number' }).primaryKey(),
    jobId: bigint('job_id', { mode: 'number' })
      .notNull()
      .references(() => jobs.id, { onDelete: 'cascade' }),
    failedAt: timestamp('failed_at', { withTimezone: true }).notNull().defaultNow(),
    holder: text('holder').notNull(),
    epoch: bigint('epoch', { mode: 'number' }).notNull(),
    kind: text('kind').notNull(),
    reason: text('reason').notNull(),
    isInherited: boolean('is_inherited').notNull().default(false),
  },
  (table) => [
    index('job_failures_by_job').on(table.jobId, table.id),
    index('job_failures_by_time').on(table.failedAt).where(eq(table.isInherited, false)),
  ],
)

export const workers = pgTable('workers', {
  workerId: text('worker_id').primaryKey(),
  address: text('address').notNull(),
  version: text('version').notNull(),
  threads: integer('threads').notNull(),
  capacity: integer('capacity').notNull(),
  budgetBytes: bigint('budget_bytes', { mode: 'number' }).notNull(),
  usedBytes: bigint('used_bytes', { mode: 'number' }).notNull(),
  running: integer('running').notNull(),
  firstSeenAt: timestamp('first_seen_at', { withTimezone: true }).notNull().defaultNow(),
  seenAt: timestamp('seen_at', { withTimezone: true }).notNull().defaultNow(),
  expiresAt: timestamp('expires_at', { withTimezone: true }).notNull(),
})

/** datasetIndex -1 stands for all that the tenant has in the object. */
export const compactionMarks = pgTable(
  'compaction_marks',
  {
    objectId: text('object_id').notNull(),
    tenant: text('tenant').notNull(),
    datasetIndex: integer('dataset_index').notNull(),
    reason: text('reason').notNull(),
    markedAt: timestamp('marked_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.objectId, table.tenant, table.datasetIndex] })],
)

/** Switched by somebody; the policy decides about all others. */
export const compactionTenants = pgTable('compaction_tenants', {
  tenant: text('tenant').primaryKey(),
  isEnabled: boolean('is_enabled').notNull(),
  reason: text('reason').notNull(),
  changedAt: timestamp('changed_at', { withTimezone: true }).notNull().defaultNow(),
})
