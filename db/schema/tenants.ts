/** Deleted tenants and their receipts, and the rules of retention. */
import { inArray } from 'drizzle-orm'
import {
  bigint,
  bigserial,
  boolean,
  index,
  integer,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
} from 'drizzle-orm/pg-core'

const time = (name: string) => timestamp(name, { withTimezone: true })
const count = (name: string) => bigint(name, { mode: 'number' }).notNull().default(0)

/** A row per tenant that was ever deleted. Data of an incarnation below live_from is dead. */
export const tenantIncarnations = pgTable('tenant_incarnations', {
  tenant: text('tenant').primaryKey(),
  incarnation: integer('incarnation').notNull(),
  liveFrom: integer('live_from').notNull(),
  diedAt: time('died_at').notNull(),
  isFinal: boolean('is_final').notNull().default(false),
})

export const tenantDeletions = pgTable(
  'tenant_deletions',
  {
    id: bigserial('id', { mode: 'number' }).primaryKey(),
    tenant: text('tenant').notNull(),
    state: text('state', { enum: ['hiding', 'hidden', 'removing', 'done', 'restoring', 'restored'] }).notNull(),
    deadBelow: integer('dead_below').notNull(),
    previousLiveFrom: integer('previous_live_from').notNull(),
    previousDiedAt: time('previous_died_at'),
    previousIsFinal: boolean('previous_is_final').notNull().default(false),
    requestedAt: time('requested_at').notNull().defaultNow(),
    removeAt: time('remove_at').notNull(),
    removingAt: time('removing_at'),
    finishedAt: time('finished_at'),
    datasetCount: count('dataset_count'),
    profileCount: count('profile_count'),
    sizeBytes: count('size_bytes'),
    oldestMs: bigint('oldest_ms', { mode: 'number' }),
    newestMs: bigint('newest_ms', { mode: 'number' }),
    labelSetCount: count('label_set_count'),
  },
  (table) => [
    uniqueIndex('tenant_deletions_open')
      .on(table.tenant)
      .where(inArray(table.state, ['hiding', 'hidden', 'restoring'])),
    index('tenant_deletions_by_tenant').on(table.tenant, table.id),
  ],
)

export const tenantDeletionObjects = pgTable(
  'tenant_deletion_objects',
  {
    deletionId: bigint('deletion_id', { mode: 'number' })
      .notNull()
      .references(() => tenantDeletions.id, { onDelete: 'cascade' }),
    objectId: text('object_id').notNull(),
    sizeBytes: bigint('size_bytes', { mode: 'number' }).notNull(),
    isShared: boolean('is_shared').notNull(),
    goneAt: time('gone_at'),
  },
  (table) => [primaryKey({ columns: [table.deletionId, table.objectId] })],
)

/** '' stands for every tenant and every service. */
export const retentionRules = pgTable(
  'retention_rules',
  {
    tenant: text('tenant').notNull(),
    service: text('service').notNull(),
    retentionMs: bigint('retention_ms', { mode: 'number' }),
    boundMs: bigint('bound_ms', { mode: 'number' }).notNull().default(Number.MIN_SAFE_INTEGER),
    setAt: time('set_at').notNull().defaultNow(),
    pendingMs: bigint('pending_ms', { mode: 'number' }),
    pendingFrom: time('pending_from'),
  },
  (table) => [primaryKey({ columns: [table.tenant, table.service] })],
)
