/**
 * The all-in-one process as it is, but for one call that never returns: at the point that KILL_POINT names it prints
 * `reached <point> <what>` and stays there, so that a test can kill it exactly then.
 *
 * The factories of the segment-writer and the compaction worker are replaced by ones that wrap what they are given; the
 * rest of the process, `main.ts` included, is the product's. Every compaction that is committed is printed too. The lease
 * of a job is 5 s instead of 15, so that the test need not wait for that of a killed worker.
 */
import { mock } from 'bun:test'
import type { Metastore } from '#core/rpc/metastore.ts'
import * as compaction from '../../apps/compaction-worker/app.ts'
import * as settings from '../../apps/metastore/settings.ts'
import * as writer from '../../apps/segment-writer/app.ts'
import { withOverrides } from '../support/overrides.ts'

const point = process.env.KILL_POINT ?? ''

function standStill(what: string): Promise<never> {
  process.stdout.write(`reached ${point} ${what}\n`)
  return Promise.withResolvers<never>().promise
}

/** The call, with a place to stop before and after it. */
async function around<T>(call: string, what: string, run: () => Promise<T>): Promise<T> {
  if (point === `before ${call}`) return standStill(what)
  const result = await run()
  return point === `after ${call}` ? standStill(what) : result
}

// Taken now: the bindings of the modules are replaced below.
const { createSegmentWriter } = writer
const { startCompactionWorker } = compaction
const { defaultSettings } = settings

const createStoppableWriter: typeof createSegmentWriter = (deps, options) => {
  const { store, metastore } = deps
  const put: typeof store.put = (key, body) =>
    around(key.startsWith('journal/') ? 'journal put' : 'put', key, () => store.put(key, body))
  const commitSegment: Metastore['commitSegment'] = (request) =>
    around('commit', request.objectId, () => metastore.commitSegment(request))
  return createSegmentWriter(
    { ...deps, store: withOverrides(store, { put }), metastore: withOverrides(metastore, { commitSegment }) },
    options,
  )
}

const startStoppableWorker: typeof startCompactionWorker = (deps, options) => {
  const { metastore } = deps
  const commitCompaction: Metastore['commitCompaction'] = (request) =>
    around('compaction commit', `job=${request.jobId}`, async () => {
      const answer = await metastore.commitCompaction(request)
      process.stdout.write(`compaction job=${request.jobId} ${answer.verdict}\n`)
      return answer
    })
  return startCompactionWorker({ ...deps, metastore: withOverrides(metastore, { commitCompaction }) }, options)
}

const settingsWithShortLease: typeof defaultSettings = (instanceId) => {
  const defaults = defaultSettings(instanceId)
  return { ...defaults, jobPolicy: { ...defaults.jobPolicy, leaseMs: 5_000 } }
}

function replaceModule(path: string, exports: object): void {
  mock.module(import.meta.resolve(path), () => exports)
}

replaceModule('../../apps/segment-writer/app.ts', { ...writer, createSegmentWriter: createStoppableWriter })
replaceModule('../../apps/compaction-worker/app.ts', { ...compaction, startCompactionWorker: startStoppableWorker })
replaceModule('../../apps/metastore/settings.ts', { ...settings, defaultSettings: settingsWithShortLease })
await import('../../apps/all-in-one/main.ts')
