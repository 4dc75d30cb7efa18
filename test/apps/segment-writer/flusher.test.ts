import assert from 'node:assert/strict'
import { test } from 'node:test'
import { objectKey, OBJECT_KEY_PREFIX, parseObjectKey } from '#core/block/object-key.ts'
import { verifyObject } from '#core/block/read.ts'
import { CinderError } from '#core/errors.ts'
import type { Codec } from '#core/ports/codec.ts'
import type { CommitSegmentRequest } from '#core/rpc/metastore.ts'
import { createCodec } from '#platform/codec.ts'
import { buildPprof, realShapedSpec } from '../../support/profiles.ts'
import { createWritePath, NOW_NANOS, push, settle, simplePprof } from '../../support/write-path.ts'

const BIG = buildPprof({ ...realShapedSpec({ samples: 200 }), timeNanos: NOW_NANOS })

/** A codec whose next compression fails when told to. */
function brittleCodec(): { codec: Codec; breakNext(): void } {
  const inner = createCodec()
  let isBroken = false
  return {
    breakNext: () => (isBroken = true),
    codec: {
      ...inner,
      zstdCompress(bytes) {
        if (!isBroken) return inner.zstdCompress(bytes)
        isBroken = false
        throw new Error('zstd: cannot allocate')
      },
    },
  }
}

test('a head that does not encode fails exactly its pushes; the retry is stored', async () => {
  const { codec, breakNext } = brittleCodec()
  const { writer, clock, read, events } = createWritePath({ codec })
  // Heads are encoded by tenant and service: `a` breaks.
  breakNext()
  const answers = [
    push(writer, [BIG], { tenant: 'a' }),
    push(writer, [BIG], { tenant: 'b' }),
    push(writer, [BIG], { tenant: 'a', service: 'z' }),
  ]
  const verdicts = (await settle(clock, Promise.all(answers))).flat()
  assert.deepEqual(
    verdicts.map(({ status, reason }) => [status, reason]),
    [
      ['rejected', 'encode_failed'],
      ['stored', ''],
      ['stored', ''],
    ],
  )
  assert.equal(events.filter(({ event }) => event === 'head does not encode').length, 1)
  assert.deepEqual(
    (await Promise.all(['a', 'b'].map((tenant) => read(tenant)))).map(({ profiles }) => profiles),
    [1, 1],
  )
  const [retry] = await settle(clock, push(writer, [BIG], { tenant: 'a' }))
  assert.equal(retry!.status, 'stored')
  assert.equal((await read('a')).profiles, 2)
})

test('a batch of which nothing encodes writes no object', async () => {
  const { codec, breakNext } = brittleCodec()
  const { writer, clock, store, metastore } = createWritePath({ codec })
  breakNext()
  const [verdict] = await settle(clock, push(writer, [BIG]))
  assert.equal(verdict!.reason, 'encode_failed')
  assert.deepEqual(await store.list(OBJECT_KEY_PREFIX), [])
  assert.deepEqual(metastore.calls, [])
  assert.equal(writer.status().pendingBytes, 0)
})

test('an answer of the metastore that says nothing acknowledges nothing: the commit is asked again', async () => {
  const { writer, clock, metastore, read } = createWritePath()
  const { commitSegment } = metastore
  // What is left of an answer whose metastore was killed: an empty message is a valid one.
  const cut = { verdict: '', skips: [] }
  metastore.commitSegment = async () => cut
  const [refused] = await settle(clock, push(writer, [simplePprof(1)]))
  assert.deepEqual([refused!.status, refused!.kind], ['rejected', 'unavailable'])
  assert.equal((await read('acme')).profiles, 0)
  let answers = 0
  metastore.commitSegment = async (request) => {
    const answer = await commitSegment(request)
    return answers++ === 0 ? cut : answer
  }
  const [stored] = await settle(clock, push(writer, [simplePprof(2)]))
  assert.equal(stored!.status, 'stored')
  assert.equal(answers, 2)
})

test('a commit describes its object: descriptors, ids, flags and label sets agree with its bytes', async () => {
  const requests: CommitSegmentRequest[] = []
  const { writer, clock, store, metastore } = createWritePath()
  const { commitSegment } = metastore
  metastore.commitSegment = (request) => {
    requests.push(request)
    return commitSegment(request)
  }
  const timed = simplePprof(1)
  const timeless = simplePprof(2, { timeNanos: 0n })
  await settle(
    clock,
    Promise.all([push(writer, [timeless, timed, timeless]), push(writer, [timed], { tenant: 'other', service: 'a' })]),
  )
  const [request] = requests as [CommitSegmentRequest]
  const [key] = await store.list(OBJECT_KEY_PREFIX)
  assert.equal(parseObjectKey(key!), request.objectId)
  const bytes = await store.get(objectKey(request.objectId))
  assert.equal(request.sizeBytes, bytes.length)
  assert.deepEqual(verifyObject(bytes, createCodec()).datasets, request.datasets)
  assert.deepEqual(
    request.datasets.map(({ tenant, service, profileCount }) => [tenant, service, profileCount]),
    [
      ['acme', 'shop', 3],
      ['other', 'a', 1],
    ],
  )
  assert.equal(request.profileIds.length, 4 * 16)
  assert.deepEqual([...request.deduplicate].sort(), [0, 0, 1, 1])
  assert.equal(request.deduplicate[3], 1)
  assert.deepEqual(
    request.labelSets.map(({ tenant }) => tenant),
    ['acme', 'other'],
  )
  assert.ok(request.labelSets[0]!.pairs.includes('__profile_type__'))

  await settle(clock, push(writer, [simplePprof(9)]))
  assert.deepEqual(requests[1]!.labelSets, [], 'a label set is sent once an hour, not once a segment')
})

test('label sets of a commit that failed are sent again', async () => {
  const { writer, clock, twin, metastore } = createWritePath()
  metastore.failNext('commitSegment', { error: new CinderError('internal', 'a bug'), when: 'before' })
  await settle(clock, push(writer, [simplePprof(1)]))
  await settle(clock, push(writer, [simplePprof(1)]))
  const { sets } = await twin.labelSets({
    tenants: ['acme'],
    startMs: 0,
    endMs: Number.MAX_SAFE_INTEGER,
    names: [],
    namesOnly: false,
  })
  assert.equal(sets.length, 1)
})

test('what the commit did not keep, because it is older than its retention, is refused with the reason', async () => {
  const { writer, clock, metastore } = createWritePath()
  const commit = metastore.commitSegment
  metastore.commitSegment = async (request) => ({ ...(await commit.call(metastore, request)), expired: [1] })
  const answers = ['a', 'b'].map((tenant) => push(writer, [simplePprof(1)], { tenant }))
  const verdicts = (await settle(clock, Promise.all(answers))).flat()
  assert.deepEqual(
    verdicts.map(({ status, kind, reason }) => [status, kind, reason]),
    [
      ['stored', '', ''],
      ['rejected', 'invalid_argument', 'retention'],
    ],
  )
  assert.match(verdicts[1]!.message, /older than the retention of service .* of tenant b/)
})
