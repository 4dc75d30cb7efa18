/**
 * What every shard of a writer must do, whichever thread it runs in: called by test/apps/segment-writer/local-shard.test.ts and
 * thread-shard.test.ts.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tellChanges } from '#core/ingest/rule-changes.ts'
import type { IngestForm } from '#core/rpc/segment-writer.ts'
import { DEFAULT_LIMITS, type TenantLimits } from '#core/limits/limits.ts'
import { createCodec } from '#platform/codec.ts'
import type { HeadResult, HeadShard, TakeAnswer, TakenProfile } from '../../apps/segment-writer/head-shard.ts'
import { BATCH_HEADERS_LIMIT, type WriterAccount } from '../../apps/segment-writer/writer-account.ts'
import { buildPprof, realShapedSpec } from '../support/profiles.ts'
import { NOW_MS, NOW_NANOS, simplePprof } from '../support/write-path.ts'

export interface ShardScene {
  readonly shard: HeadShard
  readonly account: WriterAccount
}

export interface ShardSceneSettings {
  readonly memoryBytesMax?: number
  readonly limits?: TenantLimits
}

export interface Ask {
  readonly bytes: Uint8Array
  readonly batch?: number
  readonly request?: number
  readonly service?: string
  readonly clientId?: string
  readonly limits?: TenantLimits
  readonly policy?: object
  readonly ingest?: IngestForm
  readonly nowMs?: number
  readonly isGone?: () => boolean
}

const codec = createCodec()
export const NO_RATE: TenantLimits = { ...DEFAULT_LIMITS, ingestionRateBytes: 0 }

export function ask(shard: HeadShard, { bytes, batch = 0, request = 1, ...rest }: Ask): Promise<TakeAnswer> {
  const answer = shard.take({
    batch: { number: batch, objectId: '0'.repeat(26) },
    request,
    tenant: 'acme',
    labels: [
      { name: '__name__', value: 'process_cpu' },
      { name: 'service_name', value: rest.service ?? 'shop' },
    ],
    ingest: rest.ingest,
    profile: { bytes, clientId: rest.clientId ?? '' },
    limits: rest.limits ?? NO_RATE,
    policy: rest.policy && JSON.stringify(rest.policy),
    nowMs: rest.nowMs ?? NOW_MS,
    isGone: rest.isGone,
  })
  return Promise.resolve(answer)
}

export const profileOf = (seed: number): Uint8Array =>
  buildPprof({ ...realShapedSpec({ seed, samples: 60 }), timeNanos: NOW_NANOS + BigInt(seed) })

export function takenOf(answer: TakeAnswer): TakenProfile {
  assert.equal(answer.kind, 'taken', JSON.stringify(answer))
  return answer as TakenProfile
}

type Encoded = Extract<HeadResult, { kind: 'encoded' }>

function encodedOf(results: readonly HeadResult[]): Encoded[] {
  for (const { kind } of results) assert.equal(kind, 'encoded')
  return results as Encoded[]
}

/** Of a dataset whatever does not depend on the shard. */
const factsOf = ({ key, encoded, profileIds, profileOrdinal, labelSets }: Encoded) => ({
  key,
  bytes: Buffer.from(encoded.bytes).toString('base64'),
  profileIds: Buffer.from(profileIds).toString('hex'),
  ordinals: [...profileOrdinal],
  labelSets,
})

/** Datasets of three services, twice, with settled and committed in between. */
export async function shardTrace({ shard }: ShardScene): Promise<unknown[]> {
  const trace: unknown[] = []
  for (const batch of [0, 1]) {
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, i) =>
        ask(shard, { bytes: codec.gzip(profileOf(i)), service: `s${i % 3}`, batch, request: i }),
      ),
    )
    trace.push(
      answers.map((answer) => takenOf(answer)).map(({ ordinal, deduplicate, size }) => [ordinal, deduplicate, size]),
    )
    trace.push(encodedOf(await shard.encode(batch)).map(factsOf))
    shard.settled(batch, true)
  }
  return trace
}

export function headShardContract(createScene: (settings?: ShardSceneSettings) => ShardScene): void {
  test('the tenant’s policy holds: what it drops is no rejection, what it samples is the same for a retry', async () => {
    const { shard } = createScene()
    const answerOf = async (policy: object, seed = 1) => {
      const answer = await ask(shard, { bytes: profileOf(seed), request: seed, policy })
      return answer.kind === 'taken' ? 'taken' : `${answer.verdict.status} ${answer.verdict.reason}`
    }
    const drop = { relabelRules: [{ action: 'drop', source_labels: ['service_name'], regex: 'shop' }] }
    assert.equal(await answerOf(drop), 'dropped dropped_by_relabel_rules')
    const half = { usageGroups: { all: '{}' }, sampling: { all: { probability: 0.5 } } }
    const first = await Promise.all(Array.from({ length: 40 }, (_, i) => answerOf(half, i)))
    const again = await Promise.all(Array.from({ length: 40 }, (_, i) => answerOf(half, i)))
    assert.deepEqual(again, first)
    const kept = first.filter((answer) => answer === 'taken').length
    assert.ok(kept > 5 && kept < 35, `${kept} of 40 are kept`)
    assert.equal(
      first.find((answer) => answer !== 'taken'),
      'dropped dropped_by_sampling',
    )
  })

  test('a repaired clock is told (H3)', async () => {
    const { shard } = createScene()
    const of1970 = takenOf(await ask(shard, { bytes: simplePprof(1, { timeNanos: 397n }) }))
    const ofNow = takenOf(await ask(shard, { bytes: simplePprof(2), request: 2 }))
    assert.deepEqual([of1970.isClockRepaired, ofNow.isClockRepaired], [true, false])
    assert.equal(ofNow.head, of1970.head, 'stored as of now')
    // Of /ingest the time of the request counts instead.
    const ingest = { spyName: 'gospy', fromNanos: BigInt(NOW_MS) * 1_000_000n, sampleTypeConfig: new Uint8Array() }
    const times = [397n, 0n, ingest.fromNanos - 1_000_000_000n]
    const repaired: boolean[] = []
    for (const [i, timeNanos] of times.entries()) {
      const bytes = simplePprof(3 + i, { timeNanos })
      repaired.push(takenOf(await ask(shard, { bytes, request: 3 + i, ingest })).isClockRepaired)
    }
    assert.deepEqual(repaired, [true, false, false])
  })

  test('what the rules of the tenant changed is told, the new name of the service too', async () => {
    const { shard } = createScene()
    const pods = { relabelRules: [{ target_label: 'pod', replacement: 'x' }] }
    const name = { relabelRules: [{ target_label: 'service_name', replacement: 'pay' }] }
    const asked = [undefined, pods, name].map((policy, i) =>
      ask(shard, { bytes: profileOf(i), request: i, ...(policy === undefined ? {} : { policy }) }),
    )
    const told = (await Promise.all(asked)).map((answer) => {
      const { changes, renamedTo } = takenOf(answer)
      return tellChanges(changes, renamedTo).map(({ message }) => message)
    })
    assert.deepEqual(told, [
      [],
      ['relabelRules of the tenant changed labels'],
      ['relabelRules of the tenant changed service_name to "pay"'],
    ])
  })

  test('datasets come sorted, with ids and ordinals of their headers, and the label sets once', async () => {
    const { shard } = createScene()
    const answers = await Promise.all(
      ['z', 'a', 'z', 'm'].map((service, i) => ask(shard, { bytes: profileOf(i), service, request: i })),
    )
    const [z, a, z2, m] = answers.map((answer) => takenOf(answer))
    assert.deepEqual([z!.head === z2!.head, new Set([z!.head, a!.head, m!.head]).size], [true, 3])
    assert.deepEqual([z!.ordinal, z2!.ordinal, z!.deduplicate], [0, 1, true])
    const results = encodedOf(await shard.encode(0))
    assert.deepEqual(
      results.map(({ key, head }) => [key.tenant, key.service, head]),
      [
        ['acme', 'a', a!.head],
        ['acme', 'm', m!.head],
        ['acme', 'z', z!.head],
      ],
    )
    assert.deepEqual([...results[2]!.profileOrdinal], [0, 1])
    assert.equal(results[2]!.profileIds.length, 32)
    assert.ok(
      results.every(({ labelSets }) => labelSets.length === 2),
      'one per type',
    )
    shard.settled(0, true, 7)
    takenOf(await ask(shard, { bytes: profileOf(7), service: 'a', batch: 1 }))
    const { labelSets, labelEpoch } = encodedOf(await shard.encode(1))[0]!
    assert.deepEqual([labelSets, labelEpoch], [[], 7], 'the metastore has them, of that epoch')
  })

  test('label sets of a batch that was not committed are sent again', async () => {
    const { shard } = createScene()
    for (const batch of [0, 1]) {
      await ask(shard, { bytes: profileOf(batch), batch })
      assert.equal(encodedOf(await shard.encode(batch))[0]!.labelSets.length, 2)
      shard.settled(batch, false)
    }
  })

  test('what is asked before a batch is encoded is in it, without waiting for answers; what comes after is not', async () => {
    const { shard } = createScene()
    const asked = Array.from({ length: 200 }, (_, i) => ask(shard, { bytes: simplePprof(1 + i), request: i }))
    const encoded = shard.encode(0)
    const late = ask(shard, { bytes: simplePprof(999), batch: 1, request: 999 })
    assert.equal(encodedOf(await encoded)[0]!.encoded.profileCount, 200)
    const answers = (await Promise.all(asked)).map((answer) => takenOf(answer))
    assert.deepEqual(
      answers.map(({ ordinal }) => ordinal),
      answers.map((_, i) => i),
    )
    assert.notEqual(takenOf(await late).head, answers[0]!.head)
    assert.equal(encodedOf(await shard.encode(1))[0]!.encoded.profileCount, 1)
    assert.deepEqual(await shard.encode(5), [], 'nothing of a batch that it never saw')
  })

  test('each profile has its own verdict, and a bad one leaves nothing behind', async () => {
    const { shard, account } = createScene()
    const bad = [new Uint8Array(0), codec.gzip(profileOf(1)).slice(0, -9), simplePprof(0), simplePprof(5)]
    const answers = await Promise.all(bad.map((bytes, i) => ask(shard, { bytes, request: i })))
    assert.deepEqual(
      answers.map((answer) => (answer.kind === 'taken' ? 'taken' : answer.verdict.status)),
      ['rejected', 'rejected', 'empty', 'taken'],
    )
    assert.equal(encodedOf(await shard.encode(0))[0]!.encoded.profileCount, 1)
    assert.equal(account.bytesOf('waiting'), 0)
  })

  test('equal profiles of one request have two ids; of two requests they have one', async () => {
    const { shard } = createScene()
    const idsOf = async (batch: number, requests: readonly number[]): Promise<Set<string>> => {
      await Promise.all(requests.map((request) => ask(shard, { bytes: simplePprof(3), batch, request })))
      for (const request of requests) shard.forget(request)
      const { profileIds } = encodedOf(await shard.encode(batch))[0]!
      return new Set([0, 16].map((at) => Buffer.from(profileIds.slice(at, at + 16)).toString('hex')))
    }
    const first = await idsOf(0, [1, 1])
    assert.equal(first.size, 2)
    assert.equal((await idsOf(1, [2, 3])).size, 1)
    assert.deepEqual(await idsOf(2, [1, 1]), first, 'forgotten, so the retry counts anew')
  })

  test('past the bound on memory it sheds, and settling gives everything back', async () => {
    const { shard, account } = createScene({ memoryBytesMax: 1_000_000 })
    const answers = await Promise.all(
      Array.from({ length: 400 }, (_, i) => ask(shard, { bytes: codec.gzip(profileOf(i)), request: i })),
    )
    const shed = answers.filter((answer) => answer.kind === 'verdict')
    assert.ok(shed.length > 100, `${shed.length} shed`)
    for (const { verdict, isShed } of shed)
      assert.deepEqual(
        [verdict.kind, verdict.reason, verdict.retryAfterMs, isShed],
        ['unavailable', 'memory_limit', 1000, true],
      )
    assert.ok(answers.length - shed.length > 3, `${answers.length - shed.length} taken`)
    assert.ok(account.bytesOf('pushes') > 0)
    // The last one was let in by its compressed size: it, its head and its symbols.
    assert.ok(account.heldBytes() <= 1_000_000 + 65_536, `${account.heldBytes()} bytes held`)
    await shard.encode(0)
    shard.settled(0, true)
    takenOf(await ask(shard, { bytes: simplePprof(1), batch: 1 }))
    await shard.encode(1)
    shard.settled(1, true)
    await ask(shard, { bytes: new Uint8Array(0), batch: 2 })
    assert.deepEqual([account.bytesOf('pushes'), account.bytesOf('waiting')], [0, 0])
  })

  test('a profile counts once against the bound: one of more than half of it is read', async () => {
    const { shard } = createScene({ memoryBytesMax: 1_000_000 })
    const answer = await ask(shard, { bytes: new Uint8Array(600_000) })
    assert.ok(answer.kind === 'verdict')
    assert.notEqual(answer.verdict.reason, 'memory_limit')
  })

  test('a batch never has more ids than a commit takes', async () => {
    const { shard, account } = createScene({ memoryBytesMax: 1 << 30 })
    assert.equal(account.reserveHeaders(0, BATCH_HEADERS_LIMIT - 67_000), true)
    const split = simplePprof(0, {
      samples: Array.from({ length: 40_000 }, (_, i) => ({ stack: ['f'], values: [1], labels: { request: `${i}` } })),
    })
    const limits = { ...NO_RATE, maxSamples: 0, maxProfileSizeBytes: 0 }
    takenOf(await ask(shard, { bytes: split, limits }))
    const over = await ask(shard, { bytes: split, limits, clientId: 'b' })
    assert.ok(over.kind === 'verdict')
    assert.deepEqual([over.verdict.kind, over.verdict.reason, over.isShed], ['unavailable', 'batch_limit', true])
    takenOf(await ask(shard, { bytes: split, limits, batch: 1 }))
  })

  test('over its rate a tenant is refused with the time to wait (H1)', async () => {
    const bytes = codec.gzip(profileOf(1))
    const limits = { ...DEFAULT_LIMITS, ingestionRateBytes: 1_000, ingestionBurstBytes: 2 * profileOf(1).length }
    const { shard } = createScene({ limits })
    const answers = await Promise.all([1, 2, 3].map((request) => ask(shard, { bytes, request, limits })))
    assert.deepEqual(
      answers.map((answer) => (answer.kind === 'taken' ? 'taken' : answer.verdict.reason)),
      ['taken', 'taken', 'rate_limited'],
    )
    const over = answers[2]!
    assert.ok(over.kind === 'verdict' && over.verdict.retryAfterMs > 0 && over.verdict.kind === 'resource_exhausted')
  })
}
