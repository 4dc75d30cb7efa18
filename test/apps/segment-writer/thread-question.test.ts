import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import type { TakeOrder } from '../../../apps/segment-writer/thread-messages.ts'
import {
  HeldDictionaries,
  ORDERS_MAX,
  QuestionMaker,
  type WaitingOrder,
  type WaitingTake,
} from '../../../apps/segment-writer/thread-question.ts'

let nextId = 1
const take = (request: number, bytes: Uint8Array, dictionary?: Uint8Array): WaitingTake => ({
  kind: 'take',
  id: nextId++,
  batch: { number: 0, objectId: 'o' },
  request,
  tenant: 't',
  labels: [],
  ingest: undefined,
  clientId: '',
  pushId: undefined,
  bytes,
  limits: DEFAULT_LIMITS,
  dictionary,
  policy: undefined,
  mayUseReserve: undefined,
  nowMs: 0,
})

const BODY = Uint8Array.of(1, 2, 3)
const DICTIONARY = Uint8Array.of(9, 9)

/** Whether each take brings a dictionary, and its bytes. */
function readTakes(maker: QuestionMaker, waiting: WaitingOrder[]) {
  const { orders, bodies } = maker.next(waiting)
  return orders
    .filter((order): order is TakeOrder => order.kind === 'take')
    .map(({ start, end, dictionary }) => [
      [...bodies.subarray(start, end)],
      dictionary && [...bodies.subarray(dictionary.start, dictionary.end)],
    ])
}

test('a dictionary goes with the first of its request that the thread gets, and again to another thread', () => {
  const maker = new QuestionMaker()
  const both = () => [take(1, BODY, DICTIONARY), take(1, BODY, DICTIONARY)]
  assert.deepEqual(readTakes(maker, both()), [
    [
      [1, 2, 3],
      [9, 9],
    ],
    [[1, 2, 3], undefined],
  ])
  assert.deepEqual(readTakes(maker, [take(1, BODY, DICTIONARY), take(2, BODY, DICTIONARY), take(1, BODY)]), [
    [[1, 2, 3], undefined],
    [
      [1, 2, 3],
      [9, 9],
    ],
    [[1, 2, 3], undefined],
  ])
  assert.deepEqual([maker.holdsOf(1), maker.holdsOf(3)], [true, false])
  maker.restart()
  assert.equal(maker.holdsOf(1), false)
  assert.deepEqual(readTakes(maker, [take(1, BODY, DICTIONARY)]), [
    [
      [1, 2, 3],
      [9, 9],
    ],
  ])
  assert.deepEqual(readTakes(maker, [{ kind: 'forget', request: 1 }, take(1, BODY, DICTIONARY)]), [
    [
      [1, 2, 3],
      [9, 9],
    ],
  ])
})

test('another dictionary of the same request goes too', () => {
  const other = Uint8Array.of(8)
  const orders = [take(1, BODY, DICTIONARY), take(1, BODY, other), take(1, BODY, other)]
  assert.deepEqual(
    readTakes(new QuestionMaker(), orders).map(([, dictionary]) => dictionary),
    [[9, 9], [8], undefined],
  )
})

test('a question has a bound in orders and in bytes, its dictionary included', () => {
  const maker = new QuestionMaker()
  const waiting: WaitingOrder[] = Array.from({ length: ORDERS_MAX + 5 }, () => take(1, BODY, DICTIONARY))
  assert.equal(maker.next(waiting).orders.length, ORDERS_MAX)
  assert.equal(waiting.length, 5)
  const large = new Uint8Array(600_000)
  const bulky: WaitingOrder[] = [take(2, BODY, large), take(3, BODY, large), take(3, BODY, large)]
  assert.equal(maker.next(bulky).orders.length, 1)
  assert.equal(maker.next(bulky).orders.length, 2)
  assert.equal(maker.next([take(4, new Uint8Array(3_000_000), large)]).orders.length, 1)
})

test('a dictionary counts once, while anybody holds it', () => {
  let heldBytes = 0
  const held = new HeldDictionaries((bytes) => (heldBytes += bytes))
  const releases = [held.hold(DICTIONARY), held.hold(DICTIONARY), held.hold(undefined)]
  assert.equal(heldBytes, 2)
  releases[0]!()
  releases[2]!()
  assert.equal(heldBytes, 2)
  releases[1]!()
  assert.equal(heldBytes, 0)
})
