import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { RangeStore } from '../../../apps/query-backend/read-objects.ts'
import { createThreadTurns, openThreadReads, TURN_AFTER_MS } from '../../../apps/query-backend/thread-reads.ts'
import { MIB } from '#core/units.ts'
import { openFilesystemStore } from '#platform/object-store/filesystem.ts'

function heldTurns() {
  let now = 0
  const waiting: (() => void)[] = []
  const turns = createThreadTurns(
    () => now,
    () =>
      new Promise((resolve) => {
        waiting.push(resolve)
      }),
  )
  return {
    turns,
    pass: (ms: number) => void (now += ms),
    waiting: () => waiting.length,
    letGo: () => waiting.splice(0).forEach((resolve) => resolve()),
  }
}

test('a turn is due when the thread has had none for a while, one for all who ask', async () => {
  const { turns, pass, waiting, letGo } = heldTurns()
  pass(TURN_AFTER_MS - 1)
  assert.equal(turns.due(), undefined)
  pass(1)
  const first = turns.due()
  const second = turns.due()
  assert.ok(first !== undefined && second === first)
  assert.equal(waiting(), 1)
  letGo()
  await first
  assert.equal(turns.due(), undefined, 'the thread has had one')
  pass(TURN_AFTER_MS)
  turns.taken()
  assert.equal(turns.due(), undefined, 'a message was one')
})

test('a read of its own lets the thread take its messages first where that is due', async () => {
  const root = await mkdtemp(join(tmpdir(), 'cinder-thread-turns-'))
  const store = await openFilesystemStore(root)
  await store.put('a', Uint8Array.of(1, 2, 3))
  const asked: number[] = []
  const loop: RangeStore = {
    async getRange(_key, _offset, lengthBytes) {
      asked.push(lengthBytes)
      return new Uint8Array(0)
    },
  }
  const { turns, pass, waiting, letGo } = heldTurns()
  const ended: string[] = []
  const reads = openThreadReads(loop, { root, turns, ended: ({ outcome }) => void ended.push(outcome) })
  assert.deepEqual([...(await reads.getRange('a', 0, 2))], [1, 2])
  pass(TURN_AFTER_MS)
  const late = [reads.getRange('a', 1, 2), reads.getRange('a', 0, 1)]
  assert.deepEqual([waiting(), ended.length], [1, 1], 'both wait for one turn')
  await reads.getRange('a', 0, 8 * MIB)
  assert.deepEqual(asked, [8 * MIB], 'what is long is asked of the loop')
  letGo()
  assert.deepEqual(
    (await Promise.all(late)).map((bytes) => [...bytes]),
    [[2, 3], [1]],
  )
  assert.deepEqual(ended, ['ok', 'ok', 'ok'])
  await rm(root, { recursive: true })
})
