/** A push by placement among writers that do what a test says. */
import assert from 'node:assert/strict'
import { CinderError } from '#core/errors.ts'
import { createRouter } from '#core/placement/route.ts'
import { emptyPlacementTable, type PlacementTable } from '#core/placement/table.ts'
import type { ProfileVerdict, WriteCall, WriteRequest, WriteResponse, WriteSeries } from '#core/rpc/segment-writer.ts'
import type { Placement, PlacementSource } from '../../../apps/distributor/placement.ts'
import { RoutedWriter, type WriterPort } from '../../../apps/distributor/routed-writer.ts'
import { createManualClock } from '../../support/manual-clock.ts'
import { STORED } from '../../support/verdicts.ts'

/** Without an answer, as of a writer that was killed. */
export const GONE = new CinderError('unavailable', 'could not be reached', { outcome: 'unknown' })
export const FULL = new CinderError('unavailable', 'the writer is stopping', {
  reason: 'stopping',
  retryAfterMs: 1_000,
})
export const NEVER = 'never'

type Behaviour = CinderError | typeof NEVER | ((request: WriteRequest) => ProfileVerdict[])

export const storesAll = (request: WriteRequest): ProfileVerdict[] =>
  request.series.flatMap(({ profiles }) => profiles.map(() => STORED))

export interface FakeWriter extends WriterPort {
  readonly id: string
  behaviour: Behaviour
  isUp: boolean
  readonly calls: WriteRequest[]
  readonly signals: AbortSignal[]
  readonly deadlines: (number | undefined)[]
}

function fakeWriter(id: string): FakeWriter {
  const fake: FakeWriter = {
    id,
    behaviour: storesAll,
    isUp: true,
    calls: [],
    signals: [],
    deadlines: [],
    isAlive: async () => fake.isUp,
    writer: {
      async write(request: WriteRequest, call?: WriteCall): Promise<WriteResponse> {
        fake.calls.push(request)
        fake.signals.push(call!.signal!)
        fake.deadlines.push(call!.deadlineMs)
        const { behaviour } = fake
        if (behaviour === NEVER) return Promise.withResolvers<WriteResponse>().promise
        if (behaviour instanceof CinderError) throw behaviour
        return { verdicts: behaviour(request) }
      },
    },
  }
  return fake
}

/** All slots at the first writer but those of services that a suite finds elsewhere by asking the router. */
export function tableOf(ids: readonly string[], generation = 1): PlacementTable {
  const empty = emptyPlacementTable()
  const writers = ids.map((writerId) => ({ writerId, address: `http://${writerId}`, state: 'serving' as const }))
  return { ...empty, generation, writers, owners: empty.owners.map((_, slot) => slot % ids.length) }
}

export function setUp(ids: readonly string[] = ['w0', 'w1', 'w2', 'w3']) {
  const clock = createManualClock(1_000_000)
  const fakes = new Map<string, FakeWriter>()
  const make = (table: PlacementTable): Placement => ({ table, router: createRouter(table) })
  let placement: Placement | CinderError = make(tableOf(ids))
  const source: PlacementSource = {
    async current() {
      if (placement instanceof CinderError) throw placement
      return placement
    },
    refresh: async () => undefined,
    status: () => ({ generation: 1, writers: 1, ageMs: 0, refreshes: 0, failures: 0, failure: '' }),
  }
  const calls: string[] = []
  const elsewhere: string[] = []
  let random = 0
  const writer = new RoutedWriter<FakeWriter>({
    placement: source,
    open(address) {
      const id = address.slice('http://'.length)
      const fake = fakes.get(id) ?? fakeWriter(id)
      fakes.set(id, fake)
      return fake
    },
    clock,
    random: { bytes: (count) => new Uint8Array(count).fill(random++) },
    on: { call: (id, outcome) => calls.push(`${id} ${outcome}`), elsewhere: (id) => elsewhere.push(id) },
  })
  const orderOf = (service: string): string[] => {
    assert.ok(!(placement instanceof CinderError))
    const { router, table } = placement
    return router.order({ tenant: 'acme', service, seriesHash: 0 }).map((index) => table.writers[index]!.writerId)
  }
  const setPlacement = (next: PlacementTable | CinderError) => {
    placement = next instanceof CinderError ? next : make(next)
  }
  /** The writers of a service, best first; they are made by the first push. */
  const writersOf = (service: string) => orderOf(service).map((id) => fakes.get(id)!)
  return { writer, clock, calls, elsewhere, orderOf, writersOf, setPlacement, fakes }
}

export function series(service: string, labels: Readonly<Record<string, string>> = {}, profiles = 1): WriteSeries {
  return {
    labels: Object.entries({ service_name: service, ...labels }).map(([name, value]) => ({ name, value })),
    profiles: Array.from({ length: profiles }, () => ({ bytes: new Uint8Array([1, 2, 3]), clientId: '' })),
  }
}

export function requestOf(...list: WriteSeries[]): WriteRequest {
  return { tenant: 'acme', series: list }
}
