import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { createThreadHost } from '../../../apps/compaction-worker/thread-host.ts'
import type { ThreadReply } from '../../../apps/compaction-worker/thread-messages.ts'
import { createCodec } from '#platform/codec.ts'
import { openFilesystemStore } from '#platform/object-store/filesystem.ts'
import { createRandom } from '#platform/random.ts'
import { CPU_GROUP, makeDataset, makeLabels, WINDOW_START_NANOS } from '../../support/datasets.ts'
import { jobOf } from '../../support/merge-jobs.ts'
import { putObject } from '../../support/objects.ts'

const base = await mkdtemp(join(tmpdir(), 'cinder-thread-host-'))
after(() => rm(base, { recursive: true, force: true }))

test('while one group is merged the heap is looked at, every 20 ms and no more often', async () => {
  const store = await openFilesystemStore(base)
  // A frame is of one group of types.
  const groups = [CPU_GROUP, { ...CPU_GROUP, periodType: 'wall' }, { ...CPU_GROUP, periodType: 'off-cpu' }]
  const dataset = makeDataset({
    series: [makeLabels({ service_name: 'a' })],
    groups,
    profiles: groups.map((_, group) => ({
      series: 0,
      group,
      id: group,
      timeNanos: WINDOW_START_NANOS,
      samples: [{ stack: ['f', 'main'], values: [1n, 10_000_000n] }],
    })),
  })
  const sources = [
    await putObject(store, 0, [{ dataset, skip: [0] }]),
    await putObject(store, 1, [{ dataset, skip: [0] }]),
  ]
  const looksWhen = async (stepMs: number): Promise<number> => {
    let nowMs = 1_760_000_000_000
    let looks = 0
    const reply = await new Promise<ThreadReply>((resolve) => {
      const tell = createThreadHost({
        openStore: async () => store,
        codec: createCodec(),
        clock: { nowMs: () => (nowMs += stepMs), sleep: async () => undefined },
        random: createRandom(),
        post: (said) => (said.kind === 'done' || said.kind === 'failed') && resolve(said),
        pause: async () => undefined,
        collectIfGrown: () => void looks++,
      })
      tell({ kind: 'settings', settings: { storageUrl: base, name: 'test' } })
      tell({ kind: 'run', job: jobOf(sources) })
    })
    assert.equal(reply.kind, 'done')
    return looks
  }
  assert.ok((await looksWhen(20)) > 1)
  assert.equal(await looksWhen(0), 1)
})
