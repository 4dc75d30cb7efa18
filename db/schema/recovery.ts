/** Index against bucket: candidates of the orphan search, the state of the commit counter, runs and their progress. */
import { eq } from 'drizzle-orm'
import { bigint, boolean, index, integer, jsonb, pgTable, text, timestamp } from 'drizzle-orm/pg-core'
import { integers, texts } from './columns.ts'

const count = (name: string) => bigint(name, { mode: 'number' }).notNull()

export const orphanCandidates = pgTable(
  'orphan_candidates',
  {
    objectId: text('object_id').primaryKey(),
    firstSeenAt: timestamp('first_seen_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [index('orphan_candidates_by_age').on(table.firstSeenAt)],
)

/** One row. */
export const recoveryState = pgTable('recovery_state', {
  id: integer('id').primaryKey().default(1),
  counter: count('counter').default(0),
  server: text('server').notNull().default(''),
  behindSince: timestamp('behind_since', { withTimezone: true }),
  behindReason: text('behind_reason'),
  orphanCursor: text('orphan_cursor').notNull().default(''),
  orphanPassDueAt: timestamp('orphan_pass_due_at', { withTimezone: true }).notNull().defaultNow(),
  orphansRetired: count('orphans_retired').default(0),
  settingsDumpedAt: timestamp('settings_dumped_at', { withTimezone: true }),
})

export const recoveryRuns = pgTable('recovery_runs', {
  id: text('id').primaryKey(),
  kind: text('kind', { enum: ['rebuild', 'fsck', 'backup', 'restore'] }).notNull(),
  state: text('state', { enum: ['queued', 'running', 'done', 'failed'] })
    .notNull()
    .default('queued'),
  repair: boolean('repair').notNull().default(false),
  deep: boolean('deep').notNull().default(false),
  key: text('key').notNull().default(''),
  epoch: count('epoch').default(0),
  phase: text('phase').notNull().default(''),
  cursor: text('cursor').notNull().default(''),
  done: count('done').default(0),
  total: count('total').default(0),
  report: jsonb('report').notNull().default([]),
  error: text('error'),
  createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  finishedAt: timestamp('finished_at', { withTimezone: true }),
})

export const recoveredObjects = pgTable(
  'recovered_objects',
  {
    objectId: text('object_id').primaryKey(),
    sizeBytes: count('size_bytes'),
    level: integer('level').notNull(),
    footer: jsonb('footer').notNull(),
    state: text('state', { enum: ['read', 'decided', 'adopted'] }).notNull(),
    live: integers('live').notNull().default([]),
    retireObject: texts('retire_object').notNull().default([]),
    retireIndex: integers('retire_index').notNull().default([]),
  },
  (table) => [index('recovered_objects_open').on(table.level, table.objectId).where(eq(table.state, 'decided'))],
)
