/**
 * A thread that runs jobs: its messages come and go here, what they ask for is done in thread-host.ts.
 *
 * It collects its heap while it merges. A merge of the blocks of a day, 24 MB of six million rows, makes 257 MB of columns,
 * scratch and encoded bytes in a second of CPU, and its heap went up to 144 MB before the engine collected it.
 */
import { fullGC, heapSize } from 'bun:jsc'
import { MIB } from '#core/units.ts'
import { seedTables } from '#core/wire/table-hash.ts'
import { createClock } from '#platform/clock.ts'
import { createCodec } from '#platform/codec.ts'
import { createHeapPace } from '#platform/heap-pace.ts'
import { nativeZstd } from '#platform/native-zstd.ts'
import { openThreadStore } from '#platform/object-store/open-store.ts'
import { createRandom } from '#platform/random.ts'
import { createThreadHost } from './thread-host.ts'
import type { ThreadQuestion } from './thread-messages.ts'

/** While a job reads and writes: between groups and frames of a merge it is looked at anyway. */
const LOOK_EVERY_MS = 50

/** Eight times in that merge. By 16 MiB it would peak 15 MB lower, for a tenth more of CPU; by 32 it costs nothing that could be measured. */
const GROWTH_BYTES_MAX = 32 * MIB

declare const self: Worker

seedTables(createRandom())

const pace = createHeapPace({
  heapBytes: heapSize,
  collect: fullGC,
  growthBytesMax: GROWTH_BYTES_MAX,
  later: (delayMs, run) => void setTimeout(run, delayMs).unref(),
})
setInterval(() => pace.collectIfGrown(), LOOK_EVERY_MS).unref()

const tell = createThreadHost({
  openStore: ({ storageUrl, name }) => openThreadStore(storageUrl, { name, env: process.env }),
  codec: nativeZstd(createCodec()),
  clock: createClock(),
  random: createRandom(),
  post: (reply) => self.postMessage(reply, []),
  pause: () =>
    new Promise((resolve) => {
      setImmediate(resolve)
    }),
  collectIfGrown: () => pace.collectIfGrown(),
})

self.onmessage = (event: MessageEvent<ThreadQuestion>) => tell(event.data)
