/**
 * The product's services as processes of a world: the code that ships, over simulated ports. The only file that knows how
 * they are put together.
 */
import { create } from '@bufbuild/protobuf'
import { startCompactionWorker, type CompactionWorkerService } from '../../apps/compaction-worker/app.ts'
import { runMergeTask } from '../../apps/compaction-worker/merge-task.ts'
import type { Merger } from '../../apps/compaction-worker/run-job.ts'
import { createQueryBackend } from '../../apps/query-backend/app.ts'
import { selectMergeStacktraces } from '../../apps/query-frontend/profiles.ts'
import { createSegmentWriter, type SegmentWriterService } from '../../apps/segment-writer/app.ts'
import type { Codec } from '#core/ports/codec.ts'
import type { Digest } from '#core/ports/digest.ts'
import type { Log } from '#core/ports/log.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { Random } from '#core/ports/random.ts'
import type { RegexCompiler } from '#core/ports/regex.ts'
import type { Metastore } from '#core/rpc/metastore.ts'
import { FLUSH_POLICY_DEFAULT } from '#core/segment/flush-policy.ts'
import { MIB } from '#core/units.ts'
import { SelectMergeStacktracesRequestSchema } from '#platform/gen/querier/v1/querier_pb.ts'
import type { Life } from './life.ts'
import { SIM_LIMITS } from './policies.ts'

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

export function startWriter(ports: ProcessPorts): SegmentWriterService {
  return createSegmentWriter(
    { ...ports, clock: ports.life.clock },
    {
      limitsOf: () => SIM_LIMITS,
      flushPolicy: FLUSH_POLICY_DEFAULT,
      putsPerSecondMax: 4,
      memoryBytesMax: WRITER_MEMORY_BYTES,
      writeDeadlineMs: 8_000,
    },
  )
}

/** A merge takes up to this long; meanwhile leases run out. */
const MERGE_MS_MAX = 1_500

export function startWorker(ports: ProcessPorts, merger: Merger): CompactionWorkerService {
  return startCompactionWorker(
    { ...ports, clock: ports.life.clock, merger },
    { workerId: ports.life.name, capacity: 2, pollWaitMs: 1_000, deleteIntervalMs: 3_000 },
  )
}

export function createSimMerger({ life, random, codec }: ProcessPorts): Merger {
  return {
    async merge(task) {
      const [high, low] = random.bytes(2)
      await life.clock.sleep((high! * 256 + low!) % MERGE_MS_MAX)
      return runMergeTask(task, codec)
    },
    stop: async () => undefined,
  }
}

export interface QueryPorts {
  readonly store: ObjectStore
  readonly metastore: Metastore
  readonly codec: Codec
  readonly regex: RegexCompiler
  readonly nowMs: number
}

/** Self values by function name: everything of a tenant, through the real plan, reads and merge. */
export async function queryAll(
  { store, metastore, codec, regex, nowMs }: QueryPorts,
  tenant: string,
  range: { readonly startMs: number; readonly endMs: number },
): Promise<Map<string, number>> {
  const backend = createQueryBackend({ store, codec, regex })
  const request = create(SelectMergeStacktracesRequestSchema, {
    profileTypeID: PROFILE_TYPE,
    labelSelector: '{}',
    start: BigInt(range.startMs),
    end: BigInt(range.endMs),
    maxNodes: 1_000_000n,
  })
  const context = { tenants: [tenant], limitsOf: () => SIM_LIMITS, regex, nowMs }
  const answer = await selectMergeStacktraces({ metastore, backend }, request, context, new AbortController().signal)
  const selfByName = new Map<string, number>()
  const { names, levels } = answer.flamegraph!
  for (const { values } of levels)
    for (let at = 0; at < values.length; at += 4) {
      const name = names[Number(values[at + 3])]!
      selfByName.set(name, (selfByName.get(name) ?? 0) + Number(values[at + 2]))
    }
  return selfByName
}
