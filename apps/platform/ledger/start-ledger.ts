/** Counting in a process: of a writer's verdicts, and of what an edge refuses; and what sends the counts. */
import { PushCounts } from '#core/ingest/push-counts.ts'
import type { SegmentWriter } from '#core/rpc/segment-writer.ts'
import type { Registry } from '../metrics/registry.ts'
import { explainPushes } from './explained-pushes.ts'
import { sourceName } from './source-name.ts'
import { type LedgerSender, type LedgerSenderDeps, startLedgerSender } from './ledger-sender.ts'

export interface LedgerDeps extends Omit<LedgerSenderDeps, 'counts' | 'source'> {
  readonly registry: Registry
  readonly random: { bytes(count: number): Uint8Array }
}

export interface StartedLedger {
  readonly counts: PushCounts
  readonly sender: LedgerSender
  /** What the process serves instead of the writer. */
  explain(writer: SegmentWriter): SegmentWriter
}

export function startLedger(deps: LedgerDeps): StartedLedger {
  const { clock, registry, random } = deps
  const counts = new PushCounts()
  const rows = registry.gauge('cinder_ingest_ledger_rows', 'Rows of counted pushes that wait to be recorded.')
  const lost = registry.reading('cinder_ingest_ledger_lost_total', 'Profiles that no explanation counts.')
  registry.collect(() => {
    rows.set(counts.rowCount)
    lost.set(counts.lost)
  })
  const source = sourceName(random)
  return {
    counts,
    sender: startLedgerSender({ ...deps, counts, source }),
    explain: (writer) => explainPushes(writer, counts, clock),
  }
}
