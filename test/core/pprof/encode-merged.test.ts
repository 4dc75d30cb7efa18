import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { ProfileDecoder } from '#core/pprof/decode.ts'
import { encodeMergedPprof } from '#core/pprof/encode-merged.ts'
import { allocateInt64Column, setBigInt } from '#core/wire/int64.ts'
import { decodeReference, parseFields } from '../../support/reference-pprof.ts'
import { type PlainStack, symbolsOf } from '../../support/symbols.ts'

const HEADER = {
  sampleType: { type: 'alloc_space', unit: 'bytes' },
  periodType: { type: 'space', unit: 'bytes' },
  period: 524_288n,
  timeNanos: 1_717_236_000_000_000_000n,
}

function encode(stacks: readonly (readonly [PlainStack, bigint])[], comments?: readonly string[]): Uint8Array {
  const sums = allocateInt64Column(stacks.length)
  stacks.forEach(([, sum], i) => setBigInt(sums, i, sum))
  return encodeMergedPprof(symbolsOf(stacks.map(([stack]) => stack)), sums, {
    ...HEADER,
    ...(comments === undefined ? {} : { comments }),
  })
}

const STACKS: [PlainStack, bigint][] = [
  [['leaf', 'main'], 2n ** 62n + 1n],
  [[['inlined', 'work'], 'main'], -5n],
  [['main'], 1n],
  [['λ', 'leaf', 'main'], 0n],
]

test('the same stacks in any order give the same bytes', () => {
  const expected = encode(STACKS)
  for (let turn = 1; turn < STACKS.length; turn++) {
    assert.deepEqual(encode([...STACKS.slice(turn), ...STACKS.slice(0, turn)]), expected)
  }
  assert.deepEqual(encode(STACKS.toReversed()), expected)
})

test('samples come depth first, values exact and zero ones written', () => {
  const { samples, types, periodType, scalars, texts } = decodeReference(encode(STACKS))
  const names = samples.map(({ stack, values }) => [
    stack.map((frame) => frame!.lines.map((line) => (JSON.parse(line!.function) as string[])[0]).join('<')).join(' '),
    values,
  ])
  assert.deepEqual(names, [
    ['main', [1n]],
    ['inlined<work main', [-5n]],
    ['leaf main', [2n ** 62n + 1n]],
    ['λ leaf main', [0n]],
  ])
  assert.deepEqual(types, ['["alloc_space","bytes"]'])
  assert.equal(periodType, '["space","bytes"]')
  assert.deepEqual(scalars, { timeNanos: HEADER.timeNanos, durationNanos: 0n, period: 524_288n })
  assert.equal(texts.defaultSampleType, 'alloc_space')
})

test('comments are sentences beside the samples', () => {
  const bytes = encode(STACKS, ['the answer is not complete', 'main'])
  const { comments, samples } = decodeReference(bytes)
  assert.deepEqual(comments, ['the answer is not complete', 'main'])
  assert.equal(samples.length, STACKS.length)
  assert.deepEqual(encode(STACKS, []), encode(STACKS))
})

test('it begins with its sample type, string 0 is empty and strings are sorted and unique', () => {
  const bytes = encode(STACKS)
  assert.equal(bytes[0], 0x0a)
  const strings = parseFields(bytes)
    .filter(({ field }) => field === 6)
    .map(({ payload }) => new TextDecoder().decode(payload))
  assert.equal(strings[0], '')
  assert.deepEqual(strings, [...new Set(strings)].sort())
  assert.equal(strings.includes('alloc_space'), true)
})

test('our own decoder takes it', () => {
  assert.equal(new ProfileDecoder().decode(encode(STACKS), DEFAULT_LIMITS).ok, true)
})
