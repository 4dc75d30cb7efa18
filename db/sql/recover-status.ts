/** Totals of the recovery state, and the wake of its duty. */
import type { SqlSession } from '../client.ts'

export async function readRecoveryTotals(
  sql: SqlSession,
): Promise<{ orphansRetired: number; settingsDumpedMs: number }> {
  const [row] = await sql<{ retired: number; dumped: number | null }[]>`
    select orphans_retired as retired, (extract(epoch from settings_dumped_at) * 1000)::float8 as dumped
    from recovery_state`
  return { orphansRetired: row!.retired, settingsDumpedMs: row!.dumped ?? 0 }
}

/** The duty is due now. */
export async function wakeRecovery(sql: SqlSession, duty: string): Promise<void> {
  await sql`update duties set due_at = now() where name = ${duty}`
}
