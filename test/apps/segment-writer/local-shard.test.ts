import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { Head } from '#core/segment/head.ts'
import { MIB } from '#core/units.ts'
import { createCodec } from '#platform/codec.ts'
import { createDigest } from '#platform/digest.ts'
import { ENCODE_TURN_MS, LocalShard } from '../../../apps/segment-writer/local-shard.ts'
import { TenantRates } from '../../../apps/segment-writer/tenant-rates.ts'
import { WriterAccount } from '../../../apps/segment-writer/writer-account.ts'
import {
  ask,
  headShardContract,
  NO_RATE,
  profileOf,
  type ShardScene,
  type ShardSceneSettings,
} from '../../contract/head-shard.ts'

const STILL = { nowMs: () => 0, sleep: () => Promise.resolve() }

function createScene({ memoryBytesMax = 64 * MIB, limits = NO_RATE }: ShardSceneSettings = {}): ShardScene {
  const account = new WriterAccount(1)
  const rates = new TenantRates(() => limits)
  const deps = { codec: createCodec(), digest: createDigest(), clock: STILL, account, rates }
  const settings = { index: 0, count: 1, memoryBytesMax, dictionariesBytesMax: memoryBytesMax / 4, firstHead: 0 }
  return { account, shard: new LocalShard(deps, { ...settings, encodeTurnMs: ENCODE_TURN_MS }) }
}

headShardContract(createScene)

test('encoding lets requests in between every few milliseconds, not after every head', async () => {
  let nowMs = 0
  let sleeps = 0
  const codec = createCodec()
  const account = new WriterAccount(1)
  const shard = new LocalShard(
    {
      // A head takes 1 ms here, and ends in a failure, which is enough to be a turn.
      codec: {
        ...codec,
        zstdCompress() {
          nowMs++
          throw new Error('does not encode')
        },
      },
      digest: createDigest(),
      clock: { nowMs: () => nowMs, sleep: async () => void sleeps++ },
      account,
      rates: undefined,
    },
    { index: 0, count: 1, memoryBytesMax: 64 * MIB, dictionariesBytesMax: MIB, firstHead: 0, encodeTurnMs: 5 },
  )
  for (let i = 0; i < 100; i++) await ask(shard, { bytes: profileOf(1), service: `s${i}` })
  const results = await shard.encode(0)
  assert.deepEqual([results.length, new Set(results.map(({ kind }) => kind)).size, nowMs, sleeps], [100, 1, 100, 20])
  shard.settled(0, false)
  assert.equal(account.bytesOf('pushes'), 0)
})

test('a shard that stops keeps no symbols', async () => {
  const { shard, account } = createScene()
  await ask(shard, { bytes: profileOf(1) })
  await shard.encode(0)
  shard.settled(0, true)
  assert.ok(account.bytesOf('symbols') > 0)
  shard.stop()
  assert.equal(account.heldBytes(), 0)
})

test('a profile whose append throws keeps no place in its batch, and no empty head', async () => {
  const { shard, account } = createScene()
  const broken = mock.method(Head.prototype, 'append', () => {
    throw new RangeError('out of memory')
  })
  assert.throws(() => void ask(shard, { bytes: profileOf(1) }), /out of memory/)
  broken.mock.restore()
  assert.equal(account.headersOf(0), 0)
  assert.deepEqual(await shard.encode(0), [])
})
