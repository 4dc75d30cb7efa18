/**
 * What must hold once the faults are over and nothing is under way: all that was begun has ended, what is live is in the
 * store and nothing else is, only poison is parked, every label is known, and memory kept to its bound.
 */
import { objectKey, parseObjectKey } from '#core/block/object-key.ts'
import { MS_PER_HOUR } from '#core/units.ts'
import { JOURNAL_PREFIX } from '#platform/journal.ts'
import type { SegmentWriterService } from '../../apps/segment-writer/app.ts'
import type { MemoryMetastore } from '../support/memory-metastore.ts'
import { isDead } from '../support/metastore-twin/jobs.ts'
import { waitingSegments } from '../support/metastore-twin/planning.ts'
import type { HeldJob } from '../support/metastore-twin/state.ts'
import { liveFromOf } from '../support/metastore-twin/tenants.ts'
import type { Checker } from './checker.ts'
import type { Ledger } from './ledger.ts'
import type { Life } from './life.ts'
import { ORPHAN_GRACE_LONG_MS } from './policies.ts'
import { WRITER_MEMORY_BYTES } from './services.ts'

export interface Ends {
  readonly twin: MemoryMetastore
  readonly objects: ReadonlyMap<string, Uint8Array>
  readonly ledger: Ledger
  readonly checker: Checker
  readonly writers: readonly { readonly life: Life; readonly service: SegmentWriterService }[]
  readonly poison: number | undefined
  readonly clientsLeft: number
  readonly orphanGraceMs: number
}

/** What one profile may add past the bound: it is taken before it is counted. */
const MEMORY_SLACK_BYTES = 64 * 1024

/** What was begun and has not ended. */
export function openEnds({ twin: { state }, objects, writers, clientsLeft, orphanGraceMs }: Ends): string[] {
  const ends: string[] = []
  if (clientsLeft > 0) ends.push(`${clientsLeft} agents still push`)
  for (const { jobId, state: standing, holder, sources } of state.jobs.values())
    if (standing === 'running' || standing === 'queued') ends.push(`job ${jobId} is ${standing}, ${holder}`)
    else if (standing === 'parked' && isDead(state, sources)) ends.push(`job ${jobId} is parked for data that is gone`)
  if (state.tombstones.size > 0) ends.push(`${state.tombstones.size} tombstones wait`)
  for (const [tenant, { open }] of state.tenants) if (open !== undefined) ends.push(`${tenant} is not removed yet`)
  for (const { life, service } of writers) {
    const { pendingBytes } = service.status()
    if (pendingBytes > 0) ends.push(`${life.name} holds ${pendingBytes} bytes`)
  }
  if (ends.length > 0) return ends
  const waiting = waitingSegments(state)
  if (waiting.length > 0) ends.push(`${waiting.length} segments wait for a job`)
  for (const key of objects.keys()) {
    if (key.startsWith(JOURNAL_PREFIX)) ends.push(`${key} waits`)
    const objectId = parseObjectKey(key)
    // What nobody commits is given up after the grace, where that ends within a world.
    if (objectId === undefined || orphanGraceMs >= ORPHAN_GRACE_LONG_MS) continue
    if (!state.registered.has(objectId)) ends.push(`${objectId} is an orphan`)
  }
  return ends
}

export function checkEnd(ends: Ends): void {
  const { twin, objects, ledger, checker, writers } = ends
  const { state } = twin
  for (const what of openEnds(ends)) checker.report('never-ends', what)
  for (const { objectId } of state.objects.values())
    if (state.isLive(objectId) && !objects.has(objectKey(objectId)))
      checker.report('lost', `${objectId} is live and not in the store`)
  for (const job of state.jobs.values()) if (job.state === 'parked') checkParked(ends, job)
  for (const { number, isAcked, isDeleted, wasLive } of ledger.entries)
    if (!isAcked) checker.report('never-ends', `p${number} was never stored`)
    else if (!isDeleted && !wasLive) checker.report('lost', `p${number} was acknowledged and never came to light`)
  for (const { life, service } of writers) {
    const { peakPendingBytes } = service.status()
    if (peakPendingBytes > WRITER_MEMORY_BYTES + MEMORY_SLACK_BYTES)
      checker.report('memory', `${life.name} held ${peakPendingBytes} bytes, ${WRITER_MEMORY_BYTES} are allowed`)
  }
  checkLabels(ends)
}

/** Only what is poison, or too large for any worker, and nothing beside it. */
function checkParked({ checker, poison }: Ends, { jobId, sources, reason, failureKind }: HeldJob): void {
  const datasets = sources.flatMap(({ objectId, indexes }) => indexes.map((index) => ({ objectId, index })))
  const isPoison = datasets.some(({ objectId, index }) => checker.countedIn(objectId, index).includes(poison ?? -1))
  const isParkedRightly = isPoison || failureKind === 'over-budget'
  if (!isParkedRightly || datasets.length > 1)
    checker.report('parked', `job ${jobId} with ${datasets.length} datasets: ${reason}`)
}

function checkLabels({ twin, ledger, checker }: Ends): void {
  const known = new Set<string>()
  for (const { tenant, windowStartMs, pairs, incarnation } of twin.state.labelSets.values())
    if (incarnation >= liveFromOf(twin.state, tenant))
      known.add(`${tenant} ${windowStartMs} ${pairs[pairs.indexOf('service_name') + 1]}`)
  for (const { number, tenant, service, timeMs, isAcked, isDeleted } of ledger.entries) {
    const name = `${tenant} ${Math.floor(timeMs / MS_PER_HOUR) * MS_PER_HOUR} ${service}`
    if (isAcked && !isDeleted && !known.has(name)) checker.report('labels', `no label set for p${number}: ${name}`)
  }
}
