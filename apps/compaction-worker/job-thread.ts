/** A thread that runs jobs: its messages come and go here, what they ask for is done in thread-host.ts. */
import { seedTables } from '#core/wire/table-hash.ts'
import { createClock } from '#platform/clock.ts'
import { createCodec } from '#platform/codec.ts'
import { nativeZstd } from '#platform/native-zstd.ts'
import { openThreadStore } from '#platform/object-store/open-store.ts'
import { createRandom } from '#platform/random.ts'
import { createThreadHost } from './thread-host.ts'
import type { ThreadQuestion } from './thread-messages.ts'

declare const self: Worker

seedTables(createRandom())

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
})

self.onmessage = (event: MessageEvent<ThreadQuestion>) => tell(event.data)
