/** Compaction jobs, the sources of open ones, and the leases of duties and writers. */
import { eq, inArray, isNotNull } from 'drizzle-orm'
import {
  bigint,
  bigserial,
  doublePrecision,
  index,
  integer,
  pgTable,
  primaryKey,
  real,
  text,
  timestamp,
} from 'drizzle-orm/pg-core'
import { integers, texts } from './columns.ts'

export const jobs = pgTable(
  'jobs',
  {
    id: bigserial('id', { mode: 'number' }).primaryKey(),
    state: text('state', { enum: ['queued', 'running', 'parked', 'done', 'stale'] }).notNull(),
    level: integer('level').notNull(),
    sizeBytes: bigint('size_bytes', { mode: 'number' }).notNull(),
    rank: doublePrecision('rank').notNull(),
    epoch: bigint('epoch', { mode: 'number' }).notNull().default(0),
    holder: text('holder'),
    expiresAt: timestamp('expires_at', { withTimezone: true }),
    failures: integer('failures').notNull().default(0),
    notBefore: timestamp('not_before', { withTimezone: true }).notNull().defaultNow(),
    reason: text('reason'),
    outputIds: texts('output_ids'),
    staleObjectIds: texts('stale_object_ids'),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
    finishedAt: timestamp('finished_at', { withTimezone: true }),
    tenant: text('tenant').notNull().default(''),
    tenants: texts('tenants').notNull().default([]),
    arrivalTag: doublePrecision('arrival_tag').notNull().default(0),
    tag: doublePrecision('tag'),
    startedAt: timestamp('started_at', { withTimezone: true }),
    progress: real('progress').notNull().default(0),
    failureKind: text('failure_kind'),
    parentId: bigint('parent_id', { mode: 'number' }),
    generation: bigint('generation', { mode: 'number' }).notNull().default(0),
  },
  (table) => [
    index('jobs_claimable')
      .on(table.generation, table.level, table.tenant, table.rank)
      .where(eq(table.state, 'queued')),
    index('jobs_by_tag').on(table.level, table.tenant, table.tag).where(isNotNull(table.tag)),
    index('jobs_parked').on(table.id).where(eq(table.state, 'parked')),
    index('jobs_held').on(table.generation, table.expiresAt).where(eq(table.state, 'running')),
    index('jobs_finished')
      .on(table.finishedAt)
      .where(inArray(table.state, ['done', 'stale'])),
  ],
)

/** One row: which generations of jobs are looked at (db/sql/queue-generations.ts). */
export const queueGenerations = pgTable('queue_generations', {
  id: integer('id').primaryKey().default(1),
  oldest: bigint('oldest', { mode: 'number' }).notNull().default(1),
  newest: bigint('newest', { mode: 'number' }).notNull().default(1),
  moved: bigint('moved', { mode: 'number' }).notNull().default(0),
})

/** A segment is in at most one open job; an object above level 0 may be in several, each with datasets of its own. */
export const jobSources = pgTable(
  'job_sources',
  {
    objectId: text('object_id').notNull(),
    jobId: bigint('job_id', { mode: 'number' })
      .notNull()
      .references(() => jobs.id, { onDelete: 'cascade' }),
    indexes: integers('indexes').notNull(),
    skipDataset: integers('skip_dataset').notNull(),
    skipPosition: integers('skip_position').notNull(),
    scope: text('scope').notNull().default(''),
  },
  (table) => [primaryKey({ columns: [table.objectId, table.scope] }), index('job_sources_by_job').on(table.jobId)],
)

export const leases = pgTable('leases', {
  name: text('name').primaryKey(),
  holder: text('holder').notNull(),
  epoch: bigint('epoch', { mode: 'number' }).notNull(),
  expiresAt: timestamp('expires_at', { withTimezone: true }).notNull(),
  acquiredAt: timestamp('acquired_at', { withTimezone: true }).notNull().defaultNow(),
})

export const writers = pgTable('writers', {
  writerId: text('writer_id').primaryKey(),
  address: text('address').notNull(),
  epoch: bigint('epoch', { mode: 'number' }).notNull(),
  expiresAt: timestamp('expires_at', { withTimezone: true }).notNull(),
  instanceId: text('instance_id').notNull().default(''),
  state: text('state').notNull().default('serving'),
  registeredAt: timestamp('registered_at', { withTimezone: true }).notNull().defaultNow(),
})
