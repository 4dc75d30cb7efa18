import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { hashBytes, hashStep } from '#core/wire/hash.ts'
import {
  hashPair,
  seedTables,
  tableBytes,
  tableFactors,
  tableSeed,
  tableStep,
  tableWords,
} from '#core/wire/table-hash.ts'
import { seededRandom } from '../../support/profiles.ts'
import { NO_SEED, seedOf } from '../../support/aimed-keys.ts'

afterEach(() => seedTables(NO_SEED))

const STATES = Array.from({ length: 2_048 }, (_, i) => Math.imul(i + 1, 0x9e3779b1) ^ 0x3c6ef372)

/** How often the commonest difference comes of two states that differ in `bits`. */
function commonest(step: (state: number, word: number) => number, bits: number): number {
  const counts = new Map<number, number>()
  for (const state of STATES) {
    const difference = step(state, 0) ^ step(state ^ bits, 0)
    counts.set(difference, (counts.get(difference) ?? 0) + 1)
  }
  return Math.max(...counts.values()) / STATES.length
}

test('no difference of one or two bits leads to one difference for many states, as one multiplication does', () => {
  assert.equal(commonest(hashStep, 1 << 31), 1)
  for (let a = 0; a < 32; a++) {
    for (let b = a; b < 32; b++) {
      const share = commonest(tableStep, (1 << a) | (1 << b))
      assert.ok(share <= 1 / 16, `bits ${a} and ${b}: ${share}`)
    }
  }
})

test('texts that meet under every seed of a hash with one multiplication do not meet here', () => {
  // Of each pair of words the first differs in its highest bit, the second in what that becomes: 2^10 texts.
  const texts = Array.from({ length: 1_024 }, (_, i) => {
    const words = new Uint32Array(20)
    for (let pair = 0; pair < 10; pair++) {
      if ((i & (1 << pair)) === 0) continue
      words[2 * pair] = 0x8000_0000
      words[2 * pair + 1] = 0x8001_0000
    }
    return words
  })
  const bytesOf = (words: Uint32Array) => new Uint8Array(words.buffer)
  assert.equal(new Set(texts.map((words) => hashBytes(bytesOf(words), 0, 80))).size, 1)
  for (const seed of [0, 1, -7, 0x1234_5678]) {
    const hashes = texts.map((words) => tableBytes(seed, bytesOf(words), 0, 80))
    assert.ok(new Set(hashes).size > 1_000, `seed ${seed}`)
    assert.ok(new Set(hashes.map((hash) => hash & 2_047)).size > 700, `seed ${seed}`)
    assert.ok(new Set(texts.map((words) => tableWords(seed, words, 0, 20))).size > 1_000, `seed ${seed}`)
  }
})

/** Texts and lists whose two states would be one if both began as the seed and something that everybody knows. */
function aimedAtBothStates(length: number, wordCount: number, secondState: number): Uint32Array[] {
  const apart = Math.imul(length, 0x9e3779b1) ^ secondState
  return Array.from({ length: 1_024 }, (_, i) => {
    const words = new Uint32Array(wordCount)
    words[0] = Math.imul(i + 1, 0x01000193)
    words[1] = words[0]! ^ apart
    return words
  })
}

test('keys that bring both states to one value do not meet under every seed', () => {
  // The two states are taken together by an exclusive or: equal ones leave nothing of the seed.
  const texts = aimedAtBothStates(12, 3, 0x811c9dc5).map((words) => new Uint8Array(words.buffer))
  const lists = aimedAtBothStates(4, 4, 0x2545f491)
  for (const seed of [0, 1, -7, 0x1234_5678]) {
    assert.ok(new Set(texts.map((bytes) => tableBytes(seed, bytes, 0, 12))).size > 1_000, `seed ${seed}`)
    assert.ok(new Set(lists.map((words) => tableWords(seed, words, 0, 4))).size > 1_000, `seed ${seed}`)
  }
})

test('each byte, each word, the length and the seed count', () => {
  const random = seededRandom(1)
  for (let length = 0; length < 40; length++) {
    const bytes = Uint8Array.from({ length: length + 4 }, () => random(256))
    const own = tableBytes(5, bytes, 2, 2 + length)
    assert.notEqual(tableBytes(6, bytes, 2, 2 + length), own)
    assert.notEqual(tableBytes(5, bytes, 2, 3 + length), own)
    for (let i = 2; i < 2 + length; i++) {
      const changed = bytes.slice()
      changed[i]! ^= 1 << random(8)
      assert.notEqual(tableBytes(5, changed, 2, 2 + length), own, `byte ${i} of ${length}`)
    }
    const words = Uint32Array.from(bytes)
    const ofWords = tableWords(5, words, 2, 2 + length)
    for (let i = 2; i < 2 + length; i++) {
      const changed = words.slice()
      changed[i]! ^= 1 << random(32)
      assert.notEqual(tableWords(5, changed, 2, 2 + length), ofWords, `word ${i} of ${length}`)
    }
  }
  assert.notEqual(tableBytes(5, new Uint8Array(8), 0, 3), tableBytes(5, new Uint8Array(8), 0, 4))
})

/** Shapes that rows come in: children of one node, one child of many, steps of a few series, a chain, every 64th row. */
const SHAPES: readonly ((i: number) => readonly [number, number])[] = [
  (i) => [0, i],
  (i) => [i, 7],
  (i) => [i % 8, i >> 3],
  (i) => [i, i],
  (i) => [i * 64, 5],
]

/** Slots passed over by the insertion of so many pairs of a shape into a table that gets half full. */
function passedOver(shape: (typeof SHAPES)[number], count: number): number {
  const factors = tableFactors()
  const slots = new Uint8Array(2 * count)
  const mask = slots.length - 1
  let passed = 0
  for (let i = 0; i < count; i++) {
    let slot = hashPair(factors, ...shape(i)) & mask
    for (; slots[slot] !== 0; slot = (slot + 1) & mask) passed++
    slots[slot] = 1
  }
  return passed
}

test('no process draws factors that bring ordinary pairs of rows together', () => {
  // Of products alone six seeds in a thousand passed over 40 slots a pair and more; of these up to 500.
  for (const number of [138, 13_474, 14_321, 18_482, 24_817, 25_592, 28_053, 31_167, 32_127, 36_487, 45_981]) {
    seedTables(seedOf(number))
    SHAPES.forEach((shape, i) => {
      const passed = passedOver(shape, 1_024)
      assert.ok(passed < 1_024, `seed ${number}, shape ${i}: ${passed}`)
    })
  }
})

test('a process has the seed that it drew, and factors are odd', () => {
  assert.equal(tableSeed(), 0)
  const pairs = new Set<number>()
  for (let i = 1; i < 50; i++) {
    seedTables(seedOf(i))
    assert.notEqual(tableSeed(), 0)
    const { first, second } = tableFactors()
    assert.ok((first & 1) === 1 && (second & 1) === 1 && first !== second)
    pairs.add(hashPair({ first, second }, 3, 4))
  }
  assert.equal(pairs.size, 49)
})
