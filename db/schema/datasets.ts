/** Where data lies: packed rows of segments (level 0), a row per dataset above, and the label sets of data hours. */
import { and, eq, isNotNull, lt } from 'drizzle-orm'
import { bigint, boolean, index, integer, pgTable, primaryKey, text, timestamp, uuid } from 'drizzle-orm/pg-core'
import { LAST_LEVEL } from '#core/compaction/policy.ts'
import { bigints, bitmap, integers, texts } from './columns.ts'

const milliseconds = (name: string) => bigint(name, { mode: 'number' }).notNull()

/** Partitioned by created_at. Element i + 1 of each array and bit i of live belong to dataset i. */
export const segments = pgTable(
  'segments',
  {
    objectId: text('object_id').notNull(),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
    sizeBytes: bigint('size_bytes', { mode: 'number' }).notNull(),
    minTimeMs: milliseconds('min_time_ms'),
    maxTimeMs: milliseconds('max_time_ms'),
    live: bitmap('live').notNull(),
    isLive: boolean('is_live').notNull(),
    tenant: texts('tenant').notNull(),
    service: texts('service').notNull(),
    windowStartMs: bigints('window_start_ms').notNull(),
    windowMs: bigints('window_ms').notNull(),
    datasetMinTimeMs: bigints('dataset_min_time_ms').notNull(),
    datasetMaxTimeMs: bigints('dataset_max_time_ms').notNull(),
    datasetOffset: bigints('dataset_offset').notNull(),
    datasetSizeBytes: bigints('dataset_size_bytes').notNull(),
    headBytes: bigints('head_bytes').notNull(),
    profileCount: integers('profile_count').notNull(),
    sampleCount: bigints('sample_count').notNull(),
    skipDataset: integers('skip_dataset').notNull(),
    skipPosition: integers('skip_position').notNull(),
    isIdle: boolean('is_idle').notNull().default(false),
    /** Empty: every dataset is of incarnation 1. */
    incarnation: integers('incarnation').notNull().default([]),
  },
  (table) => [
    primaryKey({ columns: [table.createdAt, table.objectId] }),
    index('segments_live').on(table.maxTimeMs, table.minTimeMs).where(eq(table.isLive, true)),
    index('segments_waiting')
      .on(table.createdAt, table.objectId)
      .where(and(eq(table.isLive, true), eq(table.isIdle, false))!),
    index('segments_idle')
      .on(table.createdAt, table.objectId)
      .where(and(eq(table.isLive, true), eq(table.isIdle, true))!),
  ],
)

/** Partitioned by window_start_ms, a day each. */
export const datasets = pgTable(
  'datasets',
  {
    objectId: text('object_id').notNull(),
    datasetIndex: integer('dataset_index').notNull(),
    level: integer('level').notNull(),
    objectSizeBytes: bigint('object_size_bytes', { mode: 'number' }).notNull(),
    isLive: boolean('is_live').notNull().default(true),
    tenant: text('tenant').notNull(),
    service: text('service').notNull(),
    windowStartMs: milliseconds('window_start_ms'),
    windowMs: milliseconds('window_ms'),
    minTimeMs: milliseconds('min_time_ms'),
    maxTimeMs: milliseconds('max_time_ms'),
    datasetOffset: bigint('dataset_offset', { mode: 'number' }).notNull(),
    sizeBytes: bigint('size_bytes', { mode: 'number' }).notNull(),
    headBytes: bigint('head_bytes', { mode: 'number' }).notNull(),
    profileCount: integer('profile_count').notNull(),
    sampleCount: bigint('sample_count', { mode: 'number' }).notNull(),
    skipPositions: integers('skip_positions').notNull().default([]),
    incarnation: integer('incarnation').notNull().default(1),
    /** The deletion of its tenant that took it out of sight. */
    hiddenBy: bigint('hidden_by', { mode: 'number' }),
  },
  (table) => [
    primaryKey({ columns: [table.windowStartMs, table.objectId, table.datasetIndex] }),
    index('datasets_by_service')
      .on(table.tenant, table.service, table.maxTimeMs, table.minTimeMs)
      .where(eq(table.isLive, true)),
    index('datasets_by_object').on(table.objectId, table.datasetIndex),
    index('datasets_planning')
      .on(table.tenant, table.windowStartMs, table.level)
      .where(and(eq(table.isLive, true), lt(table.level, LAST_LEVEL))!),
    index('datasets_hidden').on(table.hiddenBy).where(isNotNull(table.hiddenBy)),
    index('datasets_retired').on(table.tenant).where(eq(table.isLive, false)),
  ],
)

export const labelSets = pgTable(
  'label_sets',
  {
    tenant: text('tenant').notNull(),
    windowStartMs: milliseconds('window_start_ms'),
    hash: uuid('hash').notNull(),
    pairs: texts('pairs').notNull(),
    incarnation: integer('incarnation').notNull().default(1),
  },
  (table) => [primaryKey({ columns: [table.tenant, table.windowStartMs, table.hash, table.incarnation] })],
)
