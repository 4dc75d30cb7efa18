/**
 * The writers behind a distributor, as its settings say: one at a fixed address, or all by placement. Whoever asks for
 * debug information or hands on counts asks any writer: what they serve is in the store and in the metastore.
 *
 * Fetch alone: the same on Bun, Deno and workers.
 */
import { CinderError } from '#core/errors.ts'
import type { CallOutcome } from '#core/placement/breaker.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import type { Random } from '#core/ports/random.ts'
import type { DebuginfoStore } from '#core/rpc/debuginfo.ts'
import type { IngestLedger } from '#core/rpc/ingest-ledger.ts'
import type { SegmentWriter } from '#core/rpc/segment-writer.ts'
import { MS_PER_SECOND } from '#core/units.ts'
import type { ConnectClientOptions } from '#platform/connect/client.ts'
import { createDebuginfoClient } from '#platform/connect/debuginfo-service.ts'
import { createLedgerClient } from '#platform/connect/ledger-service.ts'
import { createSegmentWriterClient } from '#platform/connect/services.ts'
import type { WriterPlace } from './config.ts'
import { createPlacementSource, type PlacementSource } from './placement.ts'
import { RoutedWriter, type WriterPort } from './routed-writer.ts'
import { checkAnswer } from './writer-route.ts'

export interface Writers {
  readonly writer: SegmentWriter
  readonly debuginfo: DebuginfoStore
  readonly ledger: IngestLedger
  /** Where writers are found, for people. */
  readonly where: string
  /** Undefined: one fixed address. */
  readonly placed: PlacedWriters | undefined
}

export interface PlacedWriters {
  readonly source: PlacementSource
  readonly routed: RoutedWriter<RemoteWriter>
  readonly tableUrl: string
}

export interface RemoteWriter extends WriterPort {
  readonly debuginfo: DebuginfoStore
  readonly ledger: IngestLedger
}

export interface WritersDeps {
  readonly client: ConnectClientOptions
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** False on workers (placement.ts). */
  readonly sharesRefreshes: boolean
  readonly on?: {
    readonly call?: (writerId: string, outcome: CallOutcome) => void
    readonly elsewhere?: (writerId: string) => void
  }
}

/** A loop that is busy for a second with one large body still lives. */
const ALIVE_DEADLINE_MS = 2 * MS_PER_SECOND

export function openWriters(place: WriterPlace, deps: WritersDeps): Writers {
  if (place.kind === 'fixed') {
    const { writer, debuginfo, ledger } = openRemote(place.url, deps.client)
    // What a client began is brought to its end although it left: its retry is a duplicate then.
    return {
      writer: { write: async (request) => checkAnswer(await writer.write(request), [request]) },
      debuginfo,
      ledger,
      where: place.url,
      placed: undefined,
    }
  }
  const { tableUrl } = place
  const source = createPlacementSource({ ...deps, url: tableUrl })
  const open = (address: string) => openRemote(address, deps.client)
  const routed = new RoutedWriter<RemoteWriter>({ ...deps, placement: source, open })
  return {
    writer: routed,
    debuginfo: anyDebuginfo(routed),
    ledger: anyLedger(routed),
    where: tableUrl,
    placed: { source, routed, tableUrl },
  }
}

/** What a process waits for before it can take pushes; later nothing: it lives with the table it has. */
export function missingWriters({ placed }: Writers): string | undefined {
  if (placed === undefined) return undefined
  const { writers } = placed.source.status()
  if (writers > 0) return undefined
  return `no segment-writer is known yet: waiting for ${placed.tableUrl}`
}

function openRemote(address: string, client: ConnectClientOptions): RemoteWriter {
  if (address.startsWith('local:')) return notRemote(address)
  const send = client.fetch ?? ((url: string, init: RequestInit) => fetch(url, init))
  return {
    writer: createSegmentWriterClient(address, client),
    debuginfo: createDebuginfoClient(address, client),
    ledger: createLedgerClient(address, client),
    async isAlive() {
      try {
        const url = `${address.replace(/\/+$/, '')}/ready`
        const response = await send(url, { signal: AbortSignal.timeout(ALIVE_DEADLINE_MS) })
        await response.arrayBuffer()
        return true
      } catch {
        return false
      }
    },
  }
}

/** The writer of a process that is everything at once: its table is for the edge in it. */
function notRemote(address: string): RemoteWriter {
  const fail = () => {
    const message = `the writer ${address} is in the process of its metastore: push there, or start a segment-writer`
    return Promise.reject(new CinderError('unavailable', message, { reason: 'no_writer' }))
  }
  return {
    writer: { write: fail },
    debuginfo: { begin: fail, putPart: fail, finish: fail, list: fail, remove: fail },
    ledger: { recordPushes: fail, explainPushes: fail, tenantUsage: fail },
    isAlive: async () => false,
  }
}

/** Calls about one file keep to one writer while it answers, so that it is marked as used once. */
function anyDebuginfo(routed: RoutedWriter<RemoteWriter>): DebuginfoStore {
  const key = (tenant: string, buildId: string) => ({ tenant, service: buildId, seriesHash: 0 })
  return {
    begin: (request) =>
      routed.ask(key(request.tenant, request.file.gnuBuildId), 0, ({ debuginfo }) => debuginfo.begin(request)),
    putPart: (request) =>
      routed.ask(key(request.tenant, request.buildId), request.body.length, ({ debuginfo }) =>
        debuginfo.putPart(request),
      ),
    finish: (request) =>
      routed.ask(key(request.tenant, request.buildId), 0, ({ debuginfo }) => debuginfo.finish(request)),
    list: (request) => routed.ask(key(request.tenant, ''), 0, ({ debuginfo }) => debuginfo.list(request)),
    remove: (request) =>
      routed.ask(key(request.tenant, request.buildId), 0, ({ debuginfo }) => debuginfo.remove(request)),
  }
}

/** Writers hand all of it on to the metastore, which knows a batch of counts again. */
function anyLedger(routed: RoutedWriter<RemoteWriter>): IngestLedger {
  const key = (tenant: string) => ({ tenant, service: '', seriesHash: 0 })
  return {
    recordPushes: (request) => routed.ask(key(request.source), 0, ({ ledger }) => ledger.recordPushes(request)),
    explainPushes: (request) => routed.ask(key(request.tenant), 0, ({ ledger }) => ledger.explainPushes(request)),
    tenantUsage: (request) => routed.ask(key(request.tenant), 0, ({ ledger }) => ledger.tenantUsage(request)),
  }
}
