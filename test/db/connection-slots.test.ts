import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConnectionSlots, connectionsAtOnceMax, type Slot } from '#db/connection-slots.ts'
import { codeOf } from '#db/errors.ts'

/** Asks for places of a client, and tells which have come. */
async function asker(slots: ConnectionSlots) {
  const got = new Map<string, Slot>()
  const refused: string[] = []
  const ask = (owner: number, name: string): void =>
    void slots.take(owner).then(
      (slot) => got.set(name, slot),
      (error: unknown) => refused.push(`${name} ${codeOf(error)}`),
    )
  /** After everybody was told. */
  const names = async (): Promise<string> => {
    for (let turn = 0; turn < 3; turn++) await Promise.resolve()
    return [...got.keys()].join(' ')
  }
  const release = (name: string): void => {
    got.get(name)!.release()
    got.delete(name)
  }
  return { ask, names, release, refused }
}

test('a pool has at most a quarter more than its maximum', () => {
  assert.deepEqual([1, 2, 4, 5, 10].map(connectionsAtOnceMax), [2, 3, 5, 7, 13])
})

test('who finds no place waits for the first that is free, in order', async () => {
  const slots = new ConnectionSlots(2)
  slots.turnTo(1)
  const { ask, names, release } = await asker(slots)
  for (const name of ['a', 'b', 'c', 'd']) ask(1, name)
  assert.equal(await names(), 'a b')
  release('a')
  assert.equal(await names(), 'b c')
  release('b')
  release('c')
  assert.equal(await names(), 'd')
})

test('what an earlier client has open counts, and what it opens anew has places of its own', async () => {
  const slots = new ConnectionSlots(4)
  slots.turnTo(1)
  const { ask, names, release } = await asker(slots)
  for (const name of ['a', 'b', 'c']) ask(1, name)
  assert.equal(await names(), 'a b c')
  slots.turnTo(2)
  for (const name of ['d', 'e']) ask(2, name)
  for (const name of ['x', 'y']) ask(1, name)
  assert.equal(await names(), 'a b c d x', 'four, and one more of the earlier client')
  release('x')
  assert.equal(await names(), 'a b c d y', 'its place is for the like of it')
  release('a')
  assert.equal(await names(), 'b c d y e')
})

test('a client that waits when another one comes is an earlier one', async () => {
  const slots = new ConnectionSlots(1)
  slots.turnTo(1)
  const { ask, names } = await asker(slots)
  for (const name of ['a', 'b']) ask(1, name)
  assert.equal(await names(), 'a')
  slots.turnTo(2)
  assert.equal(await names(), 'a b')
})

test('dropped: all places are free, who waits is refused, and a late release gives nothing twice', async () => {
  const slots = new ConnectionSlots(1)
  slots.turnTo(1)
  const late = await slots.take(1)
  const { ask, names, refused } = await asker(slots)
  ask(1, 'b')
  slots.turnTo(2)
  for (const name of ['c', 'd']) ask(2, name)
  ask(1, 'e')
  assert.equal(await names(), 'b', 'as an earlier one')
  slots.drop(1)
  assert.equal(await names(), 'b c')
  assert.deepEqual(refused, ['e CONNECTION_ENDED'])
  late.release()
  late.release()
  assert.equal(await names(), 'b c')
})
