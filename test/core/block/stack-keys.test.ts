import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeStackKeys, DICTIONARY_ID_BYTES, dictionaryIdOf, encodeStackKeys } from '#core/block/stack-keys.ts'
import { ByteReader } from '#core/wire/byte-reader.ts'
import { assertSafeDecoder, written } from '../../support/block-faults.ts'

test('stack keys come back, whatever their order', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: DICTIONARY_ID_BYTES, maxLength: DICTIONARY_ID_BYTES }),
      fc.array(fc.nat(0xffffffff)).map((numbers) => Uint32Array.from(numbers)),
      (dictionaryId, numbers) => {
        const bytes = written((out) => encodeStackKeys({ dictionaryId, numbers }, out))
        assert.deepEqual(decodeStackKeys(new ByteReader(bytes, 'keys')), { dictionaryId, numbers })
      },
    ),
    { numRuns: 100 },
  )
})

test('crafted stack keys are refused or read, and nothing else happens', () => {
  const keys = { dictionaryId: dictionaryIdOf(new Uint8Array(6).fill(9), 3), numbers: Uint32Array.of(5, 700, 1) }
  assertSafeDecoder(
    written((out) => encodeStackKeys(keys, out)),
    (input) => decodeStackKeys(input),
  )
})

test('a dictionary id is the seed and a number of 48 bits', () => {
  const seed = Uint8Array.of(1, 2, 3, 4, 5, 6)
  assert.deepEqual([...dictionaryIdOf(seed, 2 ** 40 + 258)], [1, 2, 3, 4, 5, 6, 2, 1, 0, 0, 0, 1])
})
