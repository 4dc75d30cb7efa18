/** The two metastores of the rebuild contract, each behind a real writer over a store in memory. */
import type { Metastore } from '#core/rpc/metastore.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import { FLUSH_POLICY_DEFAULT } from '#core/segment/flush-policy.ts'
import { MIB } from '#core/units.ts'
import { createClock } from '#platform/clock.ts'
import { createCodec } from '#platform/codec.ts'
import { createDigest } from '#platform/digest.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { createRandom } from '#platform/random.ts'
import { createSegmentWriter, type SegmentWriterService } from '../../apps/segment-writer/app.ts'
import type { RebuildHarness } from '../contract/metastore-rebuild.ts'
import { createMemoryMetastore } from './memory-metastore.ts'
import { rebuild } from './metastore-twin/rebuild.ts'
import { createRecoveryHarness } from './recovery.ts'
import { buildPprof } from './profiles.ts'
import { createSilentLog } from './silent-log.ts'
import { createSqlMetastore, type SqlMetastore } from './sql-metastore.ts'
import { push } from './write-path.ts'

type Commits = { -readonly [K in keyof RebuildHarness['commits']]: RebuildHarness['commits'][K] }[number][]

function writerOver(store: ObjectStore, metastore: () => Metastore, commits: Commits): SegmentWriterService {
  const recorded: Metastore = new Proxy(metastore(), {
    get: (_, name) =>
      name === 'commitSegment'
        ? async (request: Parameters<Metastore['commitSegment']>[0]) => {
            const response = await metastore().commitSegment(request)
            commits.push({ request, response })
            return response
          }
        : Reflect.get(metastore(), name),
  })
  const ports = { codec: createCodec(), clock: createClock(), log: createSilentLog(), digest: createDigest() }
  const deps = { ...ports, random: createRandom(), store, metastore: recorded }
  return createSegmentWriter(deps, {
    limitsOf: () => ({ ...DEFAULT_LIMITS, ingestionRateBytes: 0 }),
    flushPolicy: FLUSH_POLICY_DEFAULT,
    putsPerSecondMax: 0,
    memoryBytesMax: 64 * MIB,
    writeDeadlineMs: 30_000,
    threads: 0,
  })
}

function pushes(writer: SegmentWriterService): RebuildHarness['push'] {
  const takenNanos = BigInt(Date.now() - 60_000) * 1_000_000n
  return async (n, scope) => {
    const samples = [{ stack: ['work', 'main'], values: [n + 1] }]
    const profile = buildPprof({ timeNanos: takenNanos + BigInt(n), samples })
    const [verdict] = await push(writer, [profile], scope)
    return verdict!.status
  }
}

export async function createTwinRebuild(): Promise<RebuildHarness> {
  const store = createMemoryStore()
  const twin = createMemoryMetastore(undefined, { nowMs: () => Date.now() })
  const commits: Commits = []
  const writer = writerOver(store, () => twin, commits)
  return {
    metastore: twin,
    commits,
    push: pushes(writer),
    plan: async () => twin.plan(),
    async loseAndRebuild() {
      const objects = new Map<string, Uint8Array>()
      for (const key of await store.list('objects/')) objects.set(key, await store.get(key))
      rebuild(twin.state, { objects, codec: createCodec() })
    },
    close: () => writer.stop(),
  }
}

export async function createSqlRebuild(): Promise<RebuildHarness> {
  const store = createMemoryStore()
  const opened: SqlMetastore[] = [await createSqlMetastore()]
  const now = () => opened.at(-1)!
  const guarded = async () => await createRecoveryHarness(now().database.sql, store).guard.check()
  await guarded()
  const commits: Commits = []
  const writer = writerOver(store, () => now().metastore, commits)
  return {
    get metastore() {
      return now().metastore
    },
    commits,
    push: pushes(writer),
    plan: () => now().plan(),
    async loseAndRebuild() {
      await guarded()
      opened.push(await createSqlMetastore())
      const recovery = createRecoveryHarness(now().database.sql, store)
      await recovery.guard.check()
      const run = await recovery.run({ kind: 'rebuild' })
      if (run.state !== 'done') throw new Error(`rebuild: ${run.error}`)
    },
    async close() {
      await writer.stop()
      for (const each of opened) await each.close()
    },
  }
}
