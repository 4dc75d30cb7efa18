/**
 * A writer with everything behind it in memory, on a clock that a test moves, and a backend that reads what it wrote:
 * `push` sends profiles, `settle` lets the clock run until an answer is there, `read` asks for everything of a tenant.
 */
import {
  createSegmentWriter,
  type SegmentWriterDeps,
  type SegmentWriterService,
  type SegmentWriterSettings,
} from '../../apps/segment-writer/app.ts'
import { createQueryBackend } from '../../apps/query-backend/app.ts'
import { FunctionTree } from '#core/flamegraph/tree.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import type { Codec } from '#core/ports/codec.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { Metastore } from '#core/rpc/metastore.ts'
import type { ProfileVerdict, WriteProfile, WriteSeries } from '#core/rpc/segment-writer.ts'
import { FLUSH_POLICY_DEFAULT } from '#core/segment/flush-policy.ts'
import { MIB, MS_PER_HOUR } from '#core/units.ts'
import { getBigInt } from '#core/wire/int64.ts'
import { createCodec } from '#platform/codec.ts'
import { createDigest } from '#platform/digest.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { createRandom } from '#platform/random.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { type FaultyMetastore, faultyMetastore } from './faulty-metastore.ts'
import { type FaultyStore, faultyStore } from './faulty-store.ts'
import { createManualClock, idle, type ManualClock } from './manual-clock.ts'
import { createMemoryMetastore, type MemoryMetastore } from './memory-metastore.ts'
import { buildPprof, type ProfileSpec } from './profiles.ts'
import { createSilentLog, type RememberedEvent } from './silent-log.ts'

/** A quarter past an hour, so that profiles of this test lie in one data hour. */
export const NOW_MS = 1_760_000_400_000 - (1_760_000_400_000 % MS_PER_HOUR) + 15 * 60_000
export const NOW_NANOS = BigInt(NOW_MS) * 1_000_000n
export const PROFILE_TYPE = 'process_cpu:samples:count:cpu:nanoseconds'

export interface WritePath {
  readonly writer: SegmentWriterService
  readonly store: FaultyStore
  readonly metastore: FaultyMetastore
  readonly twin: MemoryMetastore
  readonly clock: ManualClock
  readonly events: RememberedEvent[]
  /** Another writer over the same store and metastore. */
  addWriter(settings?: Partial<SegmentWriterSettings>): SegmentWriterService
  read(tenant?: string): Promise<Answer>
}

export interface Answer {
  /** Sum of all selected totals, empty stacks included. */
  readonly total: bigint
  readonly profiles: number
  /** Self values by stack, root first: `main;work` -> 3n. */
  readonly stacks: Readonly<Record<string, bigint>>
}

export interface WritePathOptions {
  readonly settings?: Partial<SegmentWriterSettings>
  readonly codec?: Codec
  readonly store?: ObjectStore
}

export function createWritePath({
  settings = {},
  codec = createCodec(),
  store: inner,
}: WritePathOptions = {}): WritePath {
  const clock = createManualClock(NOW_MS)
  const twin = createMemoryMetastore(clock)
  const metastore = faultyMetastore(twin)
  const store = faultyStore(inner ?? createMemoryStore())
  const log = createSilentLog()
  const deps: SegmentWriterDeps = {
    store,
    metastore,
    codec,
    clock,
    log,
    digest: createDigest(),
    random: createRandom(),
  }
  const addWriter = (overrides: Partial<SegmentWriterSettings> = {}): SegmentWriterService =>
    createSegmentWriter(deps, {
      limitsOf: () => ({ ...DEFAULT_LIMITS, ingestionRateBytes: 0 }),
      flushPolicy: FLUSH_POLICY_DEFAULT,
      putsPerSecondMax: 0,
      memoryBytesMax: 64 * MIB,
      writeDeadlineMs: 8_000,
      threads: 0,
      ...overrides,
    })
  const reader = { store, metastore: twin }
  const writer = addWriter(settings)
  return {
    writer,
    store,
    metastore,
    twin,
    clock,
    events: log.events,
    addWriter,
    read: (tenant = 'acme') => readTenant(reader, tenant),
  }
}

export async function readTenant(
  { store, metastore }: { store: ObjectStore; metastore: Pick<Metastore, 'planQuery'> },
  tenant: string,
  profileType = PROFILE_TYPE,
): Promise<Answer> {
  const backend = createQueryBackend({ store, codec: createCodec(), regex: createRegexCompiler() })
  const startMs = NOW_MS - 2 * MS_PER_HOUR
  const endMs = NOW_MS + 2 * MS_PER_HOUR
  const { objects } = await metastore.planQuery({ tenants: [tenant], services: [], startMs, endMs })
  const query = { profileType, matchers: [], startMs, endMs, objects }
  const { series } = await backend.timeSeries({ ...query, stepMs: 4 * MS_PER_HOUR, groupBy: [] })
  const { tree } = await backend.stacktraces(query)
  return {
    total: series.flatMap(({ sums }) => sums).reduce((sum, value) => sum + value, 0n),
    profiles: series.flatMap(({ counts }) => counts).reduce((sum, count) => sum + count, 0),
    stacks: stacksOf(tree),
  }
}

/** Self values of an encoded tree by stack, root first. */
export function stacksOf(encoded: Uint8Array): Record<string, bigint> {
  const tree = new FunctionTree()
  tree.mergeEncoded(encoded)
  return treeStacks(tree)
}

export function treeStacks(tree: FunctionTree): Record<string, bigint> {
  const paths: string[] = ['']
  const stacks: Record<string, bigint> = {}
  for (let node = 1; node < tree.nodeCount; node++) {
    const parent = paths[tree.nodeParent[node]!]!
    const name = tree.names.text(tree.nodeName[node]!)
    const path = parent === '' ? name : `${parent};${name}`
    paths.push(path)
    const self = getBigInt(tree.self, node)
    if (self !== 0n) stacks[path] = self
  }
  return Object.fromEntries(Object.entries(stacks).sort(([a], [b]) => (a < b ? -1 : 1)))
}

export interface PushSpec {
  readonly tenant?: string
  readonly service?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly clientId?: string
}

export function seriesOf(profiles: readonly (Uint8Array | WriteProfile)[], spec: PushSpec = {}): WriteSeries {
  const labels = { __name__: 'process_cpu', service_name: spec.service ?? 'shop', ...spec.labels }
  return {
    labels: Object.entries(labels).map(([name, value]) => ({ name, value })),
    profiles: profiles.map((profile) =>
      profile instanceof Uint8Array ? { bytes: profile, clientId: spec.clientId ?? '' } : profile,
    ),
  }
}

/** Sends profiles as one series of one request; resolves with their verdicts once the clock has moved far enough. */
export async function push(
  writer: SegmentWriterService,
  profiles: readonly Uint8Array[],
  spec: PushSpec = {},
): Promise<ProfileVerdict[]> {
  const { verdicts } = await writer.write({ tenant: spec.tenant ?? 'acme', series: [seriesOf(profiles, spec)] })
  return verdicts
}

/** One sample `main;work` of the given value, taken now unless the spec says otherwise. */
export function simplePprof(value: number | bigint, spec: Partial<ProfileSpec> = {}): Uint8Array {
  return buildPprof({ timeNanos: NOW_NANOS, samples: [{ stack: ['work', 'main'], values: [value] }], ...spec })
}

/** Moves the clock, sleep by sleep, until the promise is settled; fails if nobody sleeps and it still is not. */
export async function settle<T>(clock: ManualClock, promise: Promise<T>): Promise<T> {
  const state = { isSettled: false }
  const mark = (): void => void (state.isSettled = true)
  promise.then(mark, mark)
  await idle()
  while (!state.isSettled) {
    if (!(await clock.advanceToNext()) && !state.isSettled) throw new Error('waits for something that is not the clock')
  }
  return promise
}
