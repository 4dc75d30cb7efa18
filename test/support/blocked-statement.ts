/** Races made certain: holds rows in a transaction, and knows when another statement waits for them. */
import type { Sql, SqlSession } from '#db/client.ts'

/** Runs `first` in a transaction that stays open until `second`, started meanwhile, waits for a lock; then it ends. */
export async function raceForLocks<T>(
  sql: Sql,
  first: (tx: SqlSession) => Promise<unknown>,
  second: () => Promise<T>,
  end: 'commit' | 'rollback' = 'commit',
): Promise<T> {
  const rolledBack = new Error('rolled back on purpose')
  let running: Promise<T> | undefined
  try {
    await sql.begin(async (tx) => {
      await first(tx)
      running = second()
      running.catch(() => undefined)
      await untilBlocked(sql)
      if (end === 'rollback') throw rolledBack
    })
  } catch (error) {
    if (error !== rolledBack) throw error
  }
  return await running!
}

/** Asks the server until some backend of this database waits for a lock. Each question is a round trip, so no sleep. */
export async function untilBlocked(sql: Sql): Promise<void> {
  for (let attempt = 0; attempt < 20_000; attempt++) {
    const [row] = await sql<{ waiting: number }[]>`
      select count(*)::int as waiting from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`
    if (row!.waiting > 0) return
  }
  throw new Error('no statement waits for a lock')
}
