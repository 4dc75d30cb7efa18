/**
 * The product's services as processes of a world: the code that ships, over simulated ports. The only file that knows how
 * they are put together.
 */
import { create } from '@bufbuild/protobuf'
import { startCompactionWorker, type CompactionWorkerService } from '../../apps/compaction-worker/app.ts'
import { runMergeTask } from '../../apps/compaction-worker/merge-task.ts'
import type { Merger } from '../../apps/compaction-worker/run-job.ts'
import { createQueryBackend } from '../../apps/query-backend/app.ts'
import { selectSeries } from '../../apps/query-frontend/profiles.ts'
import { QueryRecord } from '../../apps/query-frontend/query-record.ts'
import { selectMergeStacktraces } from '../../apps/query-frontend/stacktraces.ts'
import { createSegmentWriter, type SegmentWriterService } from '../../apps/segment-writer/app.ts'
import { CinderError } from '#core/errors.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Codec } from '#core/ports/codec.ts'
import type { Digest } from '#core/ports/digest.ts'
import type { Log } from '#core/ports/log.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { Random } from '#core/ports/random.ts'
import type { RegexCompiler } from '#core/ports/regex.ts'
import type { CompactionJob, Metastore } from '#core/rpc/metastore.ts'
import { createInlineRunner } from '../support/merge-jobs.ts'
import { withOverrides } from '../support/overrides.ts'
import { FLUSH_POLICY_DEFAULT } from '#core/segment/flush-policy.ts'
import { MIB, MS_PER_HOUR } from '#core/units.ts'
import { SelectMergeStacktracesRequestSchema, SelectSeriesRequestSchema } from '#platform/gen/querier/v1/querier_pb.ts'
import { HandClock } from '../support/hand-clock.ts'
import type { JournalMode } from '../../apps/segment-writer/journal.ts'
import type { Life } from './life.ts'
import { SIM_LIMITS } from './policies.ts'
import type { SimThread } from './sim-thread.ts'

/** What a process is given. */
export interface ProcessPorts {
  readonly life: Life
  readonly store: ObjectStore
  readonly metastore: Metastore
  readonly random: Random
  readonly codec: Codec
  readonly digest: Digest
  readonly log: Log
}

/** A world's pushes are some KiB; a profile counts 2 KiB and a head 30: twenty heads are shed. */
export const WRITER_MEMORY_BYTES = MIB
const PROFILE_TYPE = 'process_cpu:samples:count:cpu:nanoseconds'

export interface WriterMode {
  readonly journal: JournalMode
  /** 0 = none of its own. */
  readonly threads: number
  readonly startThread: () => SimThread
  readonly clock: Clock
}

export function startWriter(
  ports: ProcessPorts,
  { journal, threads, startThread, clock }: WriterMode,
): SegmentWriterService {
  return createSegmentWriter(
    { ...ports, clock, startThread: startThread as unknown as () => Worker },
    {
      limitsOf: () => SIM_LIMITS,
      flushPolicy: FLUSH_POLICY_DEFAULT,
      putsPerSecondMax: 4,
      memoryBytesMax: WRITER_MEMORY_BYTES,
      threads,
      writeDeadlineMs: 8_000,
      journal,
    },
  )
}

/** A merge takes up to this long; meanwhile leases run out. */
const MERGE_MS_MAX = 1_500

export function startWorker(ports: ProcessPorts, merger: Merger): CompactionWorkerService {
  const deps = { ...ports, clock: ports.life.clock }
  return startCompactionWorker(
    { ...deps, runner: createInlineRunner({ ...deps, merger }) },
    { workerId: ports.life.name, capacity: 2, pollWaitMs: 1_000, deleteIntervalMs: 3_000 },
  )
}

export interface MergeTrouble {
  /** No worker ever merges this dataset. */
  readonly isPoison: (objectId: string, index: number) => boolean
  /** Of one group; what passes it comes out as several datasets. */
  readonly symbolBytesMax: number
  /** A draw: whether this one loses a dataset. */
  readonly isLossy: () => boolean
}

/** A worker that overlooks a dataset of a job now and then: by what it knows all is right, and only the commit can tell. */
export function overlooking(metastore: Metastore, isLossy: () => boolean): Metastore {
  return withOverrides(metastore, {
    async pollJobs(...call) {
      const { jobs, lost } = await metastore.pollJobs(...call)
      return { lost, jobs: jobs.map((job) => (job.sources.length > 1 && isLossy() ? withoutFirst(job) : job)) }
    },
  })
}

function withoutFirst(job: CompactionJob): CompactionJob {
  return { ...job, sources: job.sources.slice(1) }
}

export function createSimMerger({ life, random, codec }: ProcessPorts, trouble: MergeTrouble): Merger {
  return {
    async merge(task) {
      const [high, low] = random.bytes(2)
      await life.clock.sleep((high! * 256 + low!) % MERGE_MS_MAX)
      for (const { inputs } of task.groups)
        for (const { objectId, descriptor } of inputs)
          if (trouble.isPoison(objectId, descriptor.index)) throw new CinderError('internal', 'poison')
      const groups = task.groups.map((group) =>
        group.inputs.length > 1 && trouble.isLossy() ? { ...group, inputs: group.inputs.slice(1) } : group,
      )
      const symbolBytesMax = Math.min(task.symbolBytesMax, trouble.symbolBytesMax)
      return runMergeTask({ ...task, groups, symbolBytesMax }, codec)
    },
  }
}

export interface QueryPorts {
  readonly store: ObjectStore
  readonly metastore: Metastore
  readonly codec: Codec
  readonly regex: RegexCompiler
  readonly nowMs: number
}

export interface Query {
  readonly tenant: string
  readonly startMs: number
  readonly endMs: number
}

/** Self values by function name, through the real plan, reads and merge. */
export async function queryTree(ports: QueryPorts, { tenant, startMs, endMs }: Query): Promise<Map<string, number>> {
  const request = create(SelectMergeStacktracesRequestSchema, {
    profileTypeID: PROFILE_TYPE,
    labelSelector: '{}',
    start: BigInt(startMs),
    end: BigInt(endMs),
    maxNodes: 1_000_000n,
  })
  const call = { signal: NEVER, isJson: true }
  const context = contextOf(ports, tenant)
  const answer = await selectMergeStacktraces(sourcesOf(ports), request, context, call)
  expectWhole(context)
  const selfByName = new Map<string, number>()
  const { names, levels } = answer.flamegraph!
  for (const { values } of levels)
    for (let at = 0; at < values.length; at += 4) {
      const name = names[Number(values[at + 3])]!
      selfByName.set(name, (selfByName.get(name) ?? 0) + Number(values[at + 2]))
    }
  return selfByName
}

/** The sum of all points. The first point also covers the step before the range, so the steps begin an hour into it. */
export async function queryTotal(ports: QueryPorts, { tenant, startMs, endMs }: Query): Promise<number> {
  const request = create(SelectSeriesRequestSchema, {
    profileTypeID: PROFILE_TYPE,
    labelSelector: '{}',
    start: BigInt(startMs + MS_PER_HOUR),
    end: BigInt(endMs),
    step: MS_PER_HOUR / 1_000,
  })
  const context = contextOf(ports, tenant)
  const { series = [] } = await selectSeries(sourcesOf(ports), request, context, { signal: NEVER, isJson: true })
  expectWhole(context)
  return series.flatMap(({ points }) => points).reduce((sum, { value }) => sum + value, 0)
}

const NEVER = new AbortController().signal

function sourcesOf({
  store,
  metastore,
  codec,
  regex,
  nowMs,
}: QueryPorts): Parameters<typeof selectMergeStacktraces>[0] {
  return { metastore, backend: createQueryBackend({ store, codec, regex }), clock: new HandClock(nowMs) }
}

function contextOf({ regex, nowMs }: QueryPorts, tenant: string) {
  const record = new QueryRecord('', { isExplained: false, nowMs })
  return { tenants: [tenant], limitsOf: () => SIM_LIMITS, regex, nowMs, record }
}

/** What is missing is a warning to a client, and a failure here. */
function expectWhole({ record }: { readonly record: QueryRecord }): void {
  if (record.warnings.length > 0) throw new CinderError('data_loss', record.warnings.join('; '))
}
