/** The worker thread of a shard: its messages come and go here, what they ask for is done in thread-host.ts. */
import { seedTables } from '#core/wire/table-hash.ts'
import { createClock } from '#platform/clock.ts'
import { createCodec } from '#platform/codec.ts'
import { createDigest } from '#platform/digest.ts'
import { nativeGunzip } from '#platform/native-gunzip.ts'
import { nativeZstd } from '#platform/native-zstd.ts'
import { createRandom } from '#platform/random.ts'
import { createThreadHost } from './thread-host.ts'
import type { ThreadQuestion, ThreadSettings } from './thread-messages.ts'

declare const self: Worker

seedTables(createRandom())

const tell = createThreadHost({
  codec: nativeGunzip(nativeZstd(createCodec())),
  digest: createDigest(),
  clock: createClock(),
  post: (reply, transfer) => self.postMessage(reply, transfer),
})

self.onmessage = (event: MessageEvent<ThreadSettings | ThreadQuestion>) => tell(event.data)
