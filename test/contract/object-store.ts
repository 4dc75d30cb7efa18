/** The promises of core/ports/object-store.ts as one suite: every adapter runs it. `open` gives an empty store. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CinderError, type ErrorKind } from '#core/errors.ts'
import { type ObjectStore, PART_BYTES_MIN } from '#core/ports/object-store.ts'

const text = (value: string) => new TextEncoder().encode(value)

export function runObjectStoreContract(name: string, open: () => Promise<ObjectStore>): void {
  describe(`object store contract: ${name}`, () => {
    testWholeObjects(open)
    testRanges(open)
    testListing(open)
    testKeys(open)
    testConcurrency(open)
    testUploads(open)
  })
}

export async function assertFails(action: () => Promise<unknown>, kind: ErrorKind): Promise<CinderError> {
  const error = await action().then(
    () => assert.fail(`expected ${kind}, but it succeeded`),
    (thrown: unknown) => thrown,
  )
  assert.ok(error instanceof CinderError, `not a CinderError: ${error}`)
  assert.equal(error.kind, kind, error.message)
  return error
}

function testWholeObjects(open: () => Promise<ObjectStore>): void {
  test('what was put is read back, and a later put replaces it', async () => {
    const store = await open()
    await store.put('a/b/c.bin', text('first'))
    assert.deepEqual(await store.get('a/b/c.bin'), text('first'))
    await store.put('a/b/c.bin', text('a longer second body'))
    assert.deepEqual(await store.get('a/b/c.bin'), text('a longer second body'))
    assert.deepEqual(await store.head('a/b/c.bin'), { sizeBytes: 20 })
  })
  test('an empty object is an object', async () => {
    const store = await open()
    await store.put('empty', new Uint8Array(0))
    assert.deepEqual(await store.get('empty'), new Uint8Array(0))
    assert.deepEqual(await store.head('empty'), { sizeBytes: 0 })
    assert.deepEqual(await store.list(''), ['empty'])
  })
  test('the caller keeps its buffers: changing one changes no object', async () => {
    const store = await open()
    const body = text('body')
    await store.put('k', body)
    body.fill(0)
    const first = await store.get('k')
    assert.deepEqual(first, text('body'))
    first.fill(0)
    assert.deepEqual(await store.get('k'), text('body'))
  })
  test('a view into a larger buffer stores the bytes of the view alone', async () => {
    const store = await open()
    await store.put('view', text('0123456789').subarray(3, 6))
    assert.deepEqual(await store.get('view'), text('345'))
  })
  test('put-if-absent refuses a taken key and leaves its object alone', async () => {
    const store = await open()
    await store.putIfAbsent('once', text('one'))
    await assertFails(() => store.putIfAbsent('once', text('two')), 'already_exists')
    assert.deepEqual(await store.get('once'), text('one'))
  })
  test('an absent object: get and getRange fail, head is undefined, delete succeeds', async () => {
    const store = await open()
    await assertFails(() => store.get('no/such'), 'not_found')
    await assertFails(() => store.getRange('no/such', 0, 0), 'not_found')
    assert.equal(await store.head('no/such'), undefined)
    await store.delete('no/such')
  })
  test('a deleted object is gone and its key is free', async () => {
    const store = await open()
    await store.put('x/y', text('1'))
    await store.delete('x/y')
    assert.equal(await store.head('x/y'), undefined)
    assert.deepEqual(await store.list(''), [])
    await store.putIfAbsent('x/y', text('2'))
    assert.deepEqual(await store.get('x/y'), text('2'))
  })
  test('a prefix of keys is not an object itself', async () => {
    const store = await open()
    await store.put('dir/object', text('1'))
    assert.equal(await store.head('dir'), undefined)
    await assertFails(() => store.get('dir'), 'not_found')
    await store.delete('dir')
    assert.deepEqual(await store.list('dir'), ['dir/object'])
  })
}

function testRanges(open: () => Promise<ObjectStore>): void {
  test('a range is exactly the bytes asked for', async () => {
    const store = await open()
    const body = Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * 31 + (i >> 8)) & 0xff)
    await store.put('big', body)
    for (const [offset, length] of [
      [0, 1],
      [0, 3_000_000],
      [2_999_999, 1],
      [1_234_567, 700_000],
      [17, 0],
      [3_000_000, 0],
    ] as const) {
      assert.deepEqual(await store.getRange('big', offset, length), body.slice(offset, offset + length))
    }
  })
  test('a range past the end is data loss, never fewer bytes', async () => {
    const store = await open()
    await store.put('short', text('12345'))
    const error = await assertFails(() => store.getRange('short', 3, 3), 'data_loss')
    assert.match(error.message, /5 bytes/)
    await assertFails(() => store.getRange('short', 0, Number.MAX_SAFE_INTEGER), 'data_loss')
  })
  test('a range that is no range is refused', async () => {
    const store = await open()
    await store.put('r', text('12345'))
    await assertFails(() => store.getRange('r', -1, 2), 'out_of_range')
    await assertFails(() => store.getRange('r', 0, 1.5), 'out_of_range')
    await assertFails(() => store.getRange('r', Number.NaN, 1), 'out_of_range')
  })
}

function testListing(open: () => Promise<ObjectStore>): void {
  // `-` and `.` sort before `/`, digits and letters after it: directories must not upset the byte order.
  const keys = ['a', 'b-1/x', 'b.c', 'b/0', 'b/sub-2', 'b/sub/deep', 'b0', 'c/Z', 'c/a', 'c/aa']
  async function filled(): Promise<ObjectStore> {
    const store = await open()
    for (const key of keys.toReversed()) await store.put(key, text(key))
    return store
  }
  test('keys are listed in byte order, by prefix', async () => {
    const store = await filled()
    assert.deepEqual(await store.list(''), keys)
    for (const prefix of ['b', 'b/', 'b/s', 'b/sub/', 'b-', 'c/a', 'c/aa', 'zz', 'b/sub/deep']) {
      assert.deepEqual(
        await store.list(prefix),
        keys.filter((key) => key.startsWith(prefix)),
        prefix,
      )
    }
  })
  test('paging by startAfter and limit gives every key once', async () => {
    const store = await filled()
    for (const limit of [1, 2, 3, 7, 10, 11]) {
      const seen: string[] = []
      for (;;) {
        const startAfter = seen.at(-1)
        const page = await store.list('', startAfter === undefined ? { limit } : { limit, startAfter })
        assert.ok(page.length <= limit)
        if (page.length === 0) break
        seen.push(...page)
      }
      assert.deepEqual(seen, keys)
    }
    assert.deepEqual(await store.list('b/', { startAfter: 'b/1' }), ['b/sub-2', 'b/sub/deep'])
    assert.deepEqual(await store.list('', { startAfter: 'b/sub/dee', limit: 1 }), ['b/sub/deep'])
  })
}

function testKeys(open: () => Promise<ObjectStore>): void {
  test('an invalid key is refused by every call (H76)', async () => {
    const store = await open()
    const bad = ['', '/', '/etc/passwd', '..', '../x', 'a/../b', 'a//b', 'a/', './a', 'a b', 'a\u0000b', 'é', '~tmp/0']
    for (const key of [...bad, 'a\\..\\b', '%2e%2e/x', 'x'.repeat(513)]) {
      await assertFails(() => store.put(key, text('1')), 'invalid_argument')
      await assertFails(() => store.putIfAbsent(key, text('1')), 'invalid_argument')
      await assertFails(() => store.get(key), 'invalid_argument')
      await assertFails(() => store.getRange(key, 0, 0), 'invalid_argument')
      await assertFails(() => store.head(key), 'invalid_argument')
      await assertFails(() => store.delete(key), 'invalid_argument')
    }
    for (const prefix of ['../', '/', 'a/../', 'a//', '~tmp', 'a b']) {
      await assertFails(() => store.list(prefix), 'invalid_argument')
    }
    assert.deepEqual(await store.list(''), [])
  })
  test('dots inside names are no dots of a path', async () => {
    const store = await open()
    for (const key of ['...', '.hidden', 'a..b', 'a/.../b']) await store.put(key, text(key))
    assert.deepEqual(await store.list(''), ['...', '.hidden', 'a..b', 'a/.../b'])
  })
}

function testConcurrency(open: () => Promise<ObjectStore>): void {
  test('of racing put-if-absent calls exactly one succeeds, and its body stays', async () => {
    const store = await open()
    const results = await Promise.allSettled(
      Array.from({ length: 16 }, (_, i) => store.putIfAbsent('race/key', text(`body ${i}`))),
    )
    const winners = results.flatMap((result, i) => (result.status === 'fulfilled' ? [i] : []))
    assert.equal(winners.length, 1)
    assert.deepEqual(await store.get('race/key'), text(`body ${winners[0]}`))
    for (const result of results) {
      if (result.status === 'rejected') assert.equal((result.reason as CinderError).kind, 'already_exists')
    }
  })
  test('a reader of a key that is being replaced sees one whole body', async () => {
    const store = await open()
    const bodies = [new Uint8Array(200_000).fill(1), new Uint8Array(100_000).fill(2)]
    await store.put('k', bodies[0] as Uint8Array)
    const writes = Promise.all(Array.from({ length: 10 }, (_, i) => store.put('k', bodies[i % 2] as Uint8Array)))
    for (let i = 0; i < 20; i++) {
      const body = await store.get('k')
      assert.equal(body.length, body[0] === 1 ? 200_000 : 100_000)
      assert.ok(body.every((byte) => byte === body[0]))
    }
    await writes
  })
  test('puts survive deletes that empty the directory around them', async () => {
    const store = await open()
    const one = async (i: number) => {
      await store.put(`shared/dir/${i}`, text(String(i)))
      assert.deepEqual(await store.get(`shared/dir/${i}`), text(String(i)))
      if (i % 4 !== 0) await store.delete(`shared/dir/${i}`)
    }
    for (let round = 0; round < 6; round++) await Promise.all([0, 1, 2, 3].map((i) => one(round * 4 + i)))
    assert.deepEqual((await store.list('shared/')).length, 6)
  })
}

function testUploads(open: () => Promise<ObjectStore>): void {
  const partBytes = PART_BYTES_MIN
  const part = (seed: number, sizeBytes = partBytes) => new Uint8Array(sizeBytes).fill(seed)
  test('parts in any order make one object, visible only when it is complete', async () => {
    const store = await open()
    const upload = await store.createUpload('up/whole', { partBytes })
    await Promise.all([upload.putPart(3, part(3, 17)), upload.putPart(1, part(1)), upload.putPart(2, part(2))])
    assert.equal(await store.head('up/whole'), undefined)
    assert.deepEqual(await store.list(''), [])
    await upload.complete()
    assert.deepEqual(await store.head('up/whole'), { sizeBytes: 2 * partBytes + 17 })
    assert.deepEqual(await store.list(''), ['up/whole'])
    for (const [offset, length, seeds] of [
      [0, 3, [1, 1, 1]],
      [partBytes - 1, 2, [1, 2]],
      [2 * partBytes - 1, 3, [2, 3, 3]],
      [2 * partBytes + 16, 1, [3]],
    ] as const) {
      assert.deepEqual(await store.getRange('up/whole', offset, length), Uint8Array.from(seeds))
    }
    await assertFails(() => store.getRange('up/whole', 2 * partBytes + 16, 2), 'data_loss')
  })
  test('one part may be the whole object; a part sent again replaces it, shorter or not', async () => {
    const store = await open()
    const upload = await store.createUpload('one', { partBytes })
    await upload.putPart(1, part(9, 100))
    await upload.putPart(1, part(4, 3))
    await upload.complete()
    assert.deepEqual(await store.get('one'), part(4, 3))
  })
  test('an upload replaces what was there, and another may be begun on the same key', async () => {
    const store = await open()
    await store.put('k', text('before'))
    const [first, second] = [await store.createUpload('k', { partBytes }), await store.createUpload('k', { partBytes })]
    await Promise.all([first.putPart(1, text('first')), second.putPart(1, text('second'))])
    assert.deepEqual(await store.get('k'), text('before'))
    await first.complete()
    assert.deepEqual(await store.get('k'), text('first'))
    await second.complete()
    assert.deepEqual(await store.get('k'), text('second'))
  })
  test('completing again is no error; other calls after the end are', async () => {
    const store = await open()
    const upload = await store.createUpload('k', { partBytes })
    await upload.putPart(1, text('x'))
    await upload.complete()
    await upload.complete()
    await assertFails(() => upload.putPart(2, text('y')), 'failed_precondition')
    await upload.abort()
    assert.deepEqual(await store.get('k'), text('x'))
  })
  test('an aborted upload leaves nothing, and what was there stays', async () => {
    const store = await open()
    await store.put('k', text('before'))
    const upload = await store.createUpload('k', { partBytes })
    await upload.putPart(1, text('x'))
    await upload.abort()
    await upload.abort()
    await assertFails(() => upload.putPart(1, text('y')), 'failed_precondition')
    await assertFails(() => upload.complete(), 'failed_precondition')
    assert.deepEqual(await store.get('k'), text('before'))
    assert.deepEqual(await store.list(''), ['k'])
  })
  test('an upload that cannot be an object is refused: sizes, numbers, gaps, keys', async () => {
    const store = await open()
    await assertFails(() => store.createUpload('../x', { partBytes }), 'invalid_argument')
    await assertFails(() => store.createUpload('k', { partBytes: partBytes - 1 }), 'invalid_argument')
    const upload = await store.createUpload('k', { partBytes })
    await assertFails(() => upload.complete(), 'invalid_argument')
    await assertFails(() => upload.putPart(0, text('x')), 'invalid_argument')
    await assertFails(() => upload.putPart(1, new Uint8Array(0)), 'invalid_argument')
    await assertFails(() => upload.putPart(1, part(1, partBytes + 1)), 'invalid_argument')
    await upload.putPart(2, text('x'))
    await assertFails(() => upload.complete(), 'invalid_argument')
    await upload.putPart(1, text('too short'))
    await assertFails(() => upload.complete(), 'invalid_argument')
    await upload.abort()
    assert.deepEqual(await store.list(''), [])
  })
}
