/** Which profiles were counted lately: the key is the 16-byte id alone. */
import { index, pgTable, timestamp } from 'drizzle-orm/pg-core'
import { bytea } from './columns.ts'

export const profileIds = pgTable(
  'profile_ids',
  {
    id: bytea('id').primaryKey(),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [index('profile_ids_by_age').on(table.createdAt)],
)
