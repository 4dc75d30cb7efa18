/** Objects: the register of ids, what each object holds, and the queue of deletions. */
import { bigint, boolean, index, integer, pgTable, text, timestamp } from 'drizzle-orm/pg-core'
import { isNotNull } from 'drizzle-orm'
import { integers } from './columns.ts'

/** Every id ever registered: a commit and the collector of orphans meet on its key, and the first decides. */
export const objectIds = pgTable(
  'object_ids',
  {
    id: text('id').primaryKey(),
    registeredAt: timestamp('registered_at', { withTimezone: true }).notNull().defaultNow(),
    retiredAt: timestamp('retired_at', { withTimezone: true }),
    /** A rebuild could not read it. Of ids that were kept aside by versions before 18 it is not set. */
    isUnreadable: boolean('is_unreadable').notNull().default(false),
  },
  (table) => [index('object_ids_retired').on(table.retiredAt).where(isNotNull(table.retiredAt))],
)

export const objects = pgTable(
  'objects',
  {
    id: text('id').primaryKey(),
    level: integer('level').notNull(),
    sizeBytes: bigint('size_bytes', { mode: 'number' }).notNull(),
    liveDatasets: integer('live_datasets').notNull(),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
    skipDataset: integers('skip_dataset').notNull().default([]),
    skipPosition: integers('skip_position').notNull().default([]),
    deletedAt: timestamp('deleted_at', { withTimezone: true }),
  },
  (table) => [index('objects_deleted').on(table.deletedAt).where(isNotNull(table.deletedAt))],
)

export const tombstones = pgTable(
  'tombstones',
  {
    objectId: text('object_id').primaryKey(),
    dueAt: timestamp('due_at', { withTimezone: true }).notNull(),
    holder: text('holder'),
    epoch: bigint('epoch', { mode: 'number' }).notNull().default(0),
    expiresAt: timestamp('expires_at', { withTimezone: true }),
    failures: integer('failures').notNull().default(0),
    reason: text('reason'),
  },
  (table) => [index('tombstones_due').on(table.dueAt)],
)
