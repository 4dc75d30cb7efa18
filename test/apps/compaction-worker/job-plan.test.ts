import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planJob } from '../../../apps/compaction-worker/job-plan.ts'
import type { SourceObject } from '#core/rpc/metastore.ts'
import { MS_PER_HOUR } from '#core/units.ts'

const START = 480_000 * MS_PER_HOUR

/** `tenant/service@hour:bytes` */
function source(objectId: string, ...names: string[]): SourceObject {
  const datasets = names.map((name, index) => {
    const [, tenant, service, hour, bytes] = /^(.*)\/(.*)@(\d+):(\d+)$/.exec(name)!
    const windowStartMs = START + Number(hour) * MS_PER_HOUR
    const place = { index, tenant: tenant!, service: service!, windowStartMs, windowMs: MS_PER_HOUR, offset: 8 }
    const counts = { headBytes: 1, minTimeMs: 0, maxTimeMs: 0, profileCount: 1, sampleCount: 1 }
    return { descriptor: { ...place, ...counts, sizeBytes: Number(bytes) }, skip: [] }
  })
  return { objectId, level: 0, sizeBytes: 1000, datasets }
}

const LIMITS = { batchBytes: 100, groupBytesMax: 250 }
const shape = (level: number, ...sources: SourceObject[]) =>
  planJob({ level, sources }, LIMITS).batches.map(({ groups }) =>
    groups.map(({ tenant, window, members, sizeBytes }) => {
      const services = new Set(members.map(({ dataset }) => dataset.descriptor.service))
      const hour = (window.windowStartMs - START) / MS_PER_HOUR
      return `${tenant}/${[...services]}@${hour}:${members.map(({ source: s }) => s)}=${sizeBytes}`
    }),
  )

test('datasets of one tenant, service and window are a group, in the order of an object', () => {
  const sources = [source('x', 'b/s@0:10', 'a/z@0:10', 'a/s@1:10'), source('y', 'a/s@1:10', 'a/s@0:10')]
  assert.deepEqual(shape(1, ...sources), [['a/s@0:1=10', 'a/s@1:0,1=20', 'a/z@0:0=10', 'b/s@0:0=10']])
})

test('a window of six hours takes its hours', () => {
  assert.deepEqual(shape(6, source('x', 'a/s@0:10', 'a/s@5:10', 'a/s@6:10')), [['a/s@0:0,0=20', 'a/s@6:0=10']])
})

test('groups fill batches; one above a batch has its own', () => {
  const sources = [source('x', 'a/a@0:60', 'a/b@0:40', 'a/c@0:1', 'a/d@0:200', 'a/e@0:5')]
  assert.deepEqual(shape(1, ...sources), [['a/a@0:0=60', 'a/b@0:0=40'], ['a/c@0:0=1'], ['a/d@0:0=200'], ['a/e@0:0=5']])
})

test('a group above the limit is cut into pieces of the same key', () => {
  const sources = ['x', 'y', 'z'].map((id) => source(id, 'a/a@0:120'))
  assert.deepEqual(shape(1, ...sources), [['a/a@0:0,1=240'], ['a/a@0:2=120']])
})

test('a dataset above the limit is named, the rest is planned all the same', () => {
  const plan = planJob({ level: 1, sources: [source('x', 'a/a@0:10', 'a/b@0:251')] }, LIMITS)
  assert.deepEqual(plan.tooLarge, [{ objectId: 'x', index: 1 }])
  assert.equal(plan.sizeBytes, 261)
})
