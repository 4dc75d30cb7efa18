/** Writers and placement, for the status report: one reading of the rows that passes write. */
import { countSlots, reportPlacement } from '#core/placement/report.ts'
import { readPlacementState } from '#core/placement/state-json.ts'
import { emptyPlacementTable, parsePlacementTable } from '#core/placement/table.ts'
import type { StatusReport } from '#core/rpc/status.ts'
import type { SqlSession } from '#db/client.ts'
import { selectPlacementRow, selectWriters } from '#db/sql/status-placement.ts'

export async function readPlacementStatus(sql: SqlSession): Promise<Pick<StatusReport, 'writers' | 'placement'>> {
  const writers = await selectWriters(sql)
  const row = await selectPlacementRow(sql)
  const table = row === undefined ? emptyPlacementTable() : parsePlacementTable(JSON.parse(row.content))
  const slots = countSlots(table)
  const shown = writers.map((writer) => ({ ...writer, slots: slots.get(writer.writerId) ?? 0 }))
  if (row === undefined || (table.writers.length === 0 && writers.length === 0)) return { writers: shown }
  const { services } = readPlacementState(row.state, table)
  return { writers: shown, placement: reportPlacement({ table, services, changedMs: row.changedMs }) }
}
