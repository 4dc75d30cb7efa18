import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Dataset } from '#core/block/dataset.ts'
import { FetchedRanges, decodeProfileIds, openDataset } from '#core/block/read.ts'
import { encodeDataset, encodeObject } from '#core/block/write.ts'
import { mergeDatasets, type MergeInput } from '#core/compaction/merge.ts'
import { FunctionTree } from '#core/flamegraph/tree.ts'
import { encodeMergedPprof } from '#core/pprof/encode-merged.ts'
import { addProfile, addStacktraces, selectProfiles, stacktracesRanges } from '#core/query/aggregate.ts'
import { keepProfilesById, profileIdRanges } from '#core/query/profile-ids.ts'
import { compileSelector, parseSampleSelector } from '#core/query/sample-selector.ts'
import { StackProfile } from '#core/query/stack-profile.ts'
import { compileStackTest } from '#core/query/stack-test.ts'
import { planStacktraces } from '#core/query/stacktrace-plan.ts'
import type { FunctionLevel } from '#core/symbols/function-level.ts'
import { allocateInt64Column } from '#core/wire/int64.ts'
import { createCodec } from '#platform/codec.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { arbitraryDataset, WINDOW_START_MS } from '../../support/datasets.ts'
import { modelAnswer, type ModelQuery, pprofLines } from '../../support/sample-model.ts'
import { symbolsOf } from '../../support/symbols.ts'
import { treeStacks } from '../../support/write-path.ts'

const codec = createCodec()
const HEADER = {
  sampleType: { type: 'cpu', unit: 'nanoseconds' },
  periodType: { type: 'cpu', unit: 'nanoseconds' },
  period: 1n,
  timeNanos: 1n,
}
/** Of drawn datasets: group 1, without a period, is the one that has spans. */
const TYPES = { cpu: ':cpu:nanoseconds:cpu:nanoseconds', wall: ':wall:nanoseconds::' } as const

interface Stored {
  readonly dataset: Dataset
  readonly skip: readonly number[]
  readonly functionLevel?: FunctionLevel
}

/** Reads no byte but those that the plans name, as a query-backend does. */
function ask(stored: readonly Stored[], query: ModelQuery, profile = new StackProfile(), tree = new FunctionTree()) {
  const { profileIds, row } = compileSelector(parseSampleSelector(query))
  const stackTest = compileStackTest(query, createRegexCompiler())
  for (const { dataset, skip, functionLevel } of stored) {
    const encoded = encodeDataset(dataset, { codec, functionLevel })
    const { tenant, service, windowStartMs, windowMs } = dataset
    const { bytes, descriptors } = encodeObject({
      objectId: '01JAB3VW7Z0000000000000000',
      level: functionLevel === undefined ? 0 : 1,
      createdMs: 0,
      sources: [],
      datasets: [{ tenant, service, windowStartMs, windowMs, encoded }],
    })
    const fetch = (ranges: readonly { offset: number; lengthBytes: number }[]): FetchedRanges =>
      new FetchedRanges(
        ranges.map(({ offset, lengthBytes }) => ({ offset, bytes: bytes.slice(offset, offset + lengthBytes) })),
      )
    const { offset, headBytes } = descriptors[0]!
    const head = openDataset(bytes.slice(offset, offset + headBytes), descriptors[0]!, codec)
    const { startMs, endMs, matches = () => true } = query
    const profileType = TYPES[query.type as keyof typeof TYPES]
    let profiles = selectProfiles(head, { profileType, startMs, endMs, matches, skip })
    if (profileIds !== undefined) {
      profiles = keepProfilesById(profiles, decodeProfileIds(head, fetch(profileIdRanges(head))), profileIds)
    }
    if (profiles.length === 0) continue
    const byLines = planStacktraces(head, profiles, { symbols: 'lines', row })
    addProfile(byLines, fetch(stacktracesRanges(byLines)), profile, stackTest)
    const byFunctions = planStacktraces(head, profiles, { symbols: 'functions', row })
    addStacktraces(byFunctions, fetch(stacktracesRanges(byFunctions)), tree, stackTest)
  }
  return { profile, tree }
}

function pprofOf(profile: StackProfile): Uint8Array {
  const taken = profile.take()
  return taken === undefined ? new Uint8Array(0) : encodeMergedPprof(taken.symbols, taken.sums, HEADER)
}

const input: fc.Arbitrary<MergeInput> = arbitraryDataset().chain((dataset) =>
  fc.record({
    dataset: fc.constant(dataset),
    skip: fc
      .subarray(
        Array.from({ length: dataset.headers.count }, (_, i) => i),
        { maxLength: dataset.headers.count - 1 },
      )
      .map((positions) => positions.sort((a, b) => a - b)),
  }),
)

/** Ids that occur, now and then one that does not. */
function selectorOf(inputs: readonly MergeInput[]): fc.Arbitrary<Partial<ModelQuery>> {
  const hex = (value: bigint): string => BigInt.asUintN(64, value).toString(16).padStart(16, '0')
  const spans = new Set(['00000000000000ff'])
  const traces = new Set(['000000000000000000000000000000ff'])
  const profiles = new Set(['0'.repeat(31) + '1'])
  for (const { dataset } of inputs) {
    for (let h = 0; h < dataset.headers.count; h++) {
      const id = dataset.headers.profileId.subarray(h * 16, h * 16 + 16)
      profiles.add([...id].map((byte) => byte.toString(16).padStart(2, '0')).join(''))
    }
    const rows = dataset.rows[1]
    for (let row = 0; row < (rows?.rowCount ?? 0); row++) {
      const lane = (column: { lo: Uint32Array; hi: Uint32Array } | undefined): string =>
        column === undefined ? '0'.repeat(16) : hex((BigInt(column.hi[row]!) << 32n) | BigInt(column.lo[row]!))
      spans.add(lane(rows!.spanId))
      traces.add(lane(rows!.traceIdHigh) + lane(rows!.traceIdLow))
    }
  }
  const some = (ids: Set<string>): fc.Arbitrary<string[]> => fc.subarray([...ids], { minLength: 1 })
  const name = fc.constantFrom('main', 'serve', 'encode', 'gc')
  const callSite = fc.array(name, { maxLength: 2 })
  return fc.oneof(
    fc.record({ callSite }),
    fc.record({ spanIds: some(spans), callSite }),
    fc.record({ traceIds: some(traces) }),
    fc.record({ profileIds: some(profiles), callSite }),
  )
}

const range = fc
  .tuple(fc.nat(3_600_000), fc.nat(3_600_000))
  .map(([a, b]) => ({ startMs: WINDOW_START_MS + Math.min(a, b), endMs: WINDOW_START_MS + Math.max(a, b) }))
const whole = fc.constant({ startMs: WINDOW_START_MS, endMs: WINDOW_START_MS + 3_600_000 })

test('profiles and flame graphs hold what every row says, before and after a merge, for any range and selector', () => {
  fc.assert(
    fc.property(
      fc
        .array(input, { minLength: 1, maxLength: 3 })
        .chain((inputs) =>
          fc.tuple(fc.constant(inputs), selectorOf(inputs), fc.oneof(range, whole), fc.constantFrom('cpu', 'wall')),
        ),
      ([inputs, selector, times, type]) => {
        const query: ModelQuery = { type, ...times, ...selector }
        const expected = modelAnswer(inputs, query)
        const before = ask(inputs, query)
        const bytes = pprofOf(before.profile)
        assert.deepEqual(bytes.length === 0 ? {} : pprofLines(bytes), expected.lines)
        assert.deepEqual(treeStacks(before.tree), expected.functions)
        const { dataset, functionLevel } = mergeDatasets(inputs)
        const after = ask([{ dataset, skip: [], functionLevel }], query)
        assert.deepEqual(pprofOf(after.profile), bytes)
        assert.deepEqual(treeStacks(after.tree), expected.functions)
      },
    ),
    { numRuns: 100 },
  )
})

test('partial answers merge in any grouping and order to the same bytes', () => {
  fc.assert(
    fc.property(fc.array(input, { minLength: 2, maxLength: 4 }), fc.nat(), ([...inputs], seed) => {
      const query = { type: 'cpu', startMs: WINDOW_START_MS, endMs: WINDOW_START_MS + 3_600_000 }
      const inOne = pprofOf(ask(inputs, query).profile)
      const parts = inputs.map((each) => ask([each], query).profile.encode())
      const merged = new StackProfile()
      for (let i = 0; i < parts.length; i++) merged.mergeEncoded(parts[(i + seed) % parts.length]!)
      const again = new StackProfile()
      again.mergeEncoded(merged.encode())
      assert.deepEqual(pprofOf(again), inOne)
    }),
    { numRuns: 40 },
  )
})

const sums = (...values: number[]) => {
  const column = allocateInt64Column(values.length)
  column.lo.set(values)
  return column
}

test('stacks without a sum, and the empty stack, are left out; nothing is no bytes', () => {
  const profile = new StackProfile()
  profile.add({ symbols: symbolsOf([[], ['a'], ['b', 'a']]), sums: sums(5, 0, 0) })
  assert.equal(profile.take(), undefined)
  assert.equal(new StackProfile().encode().length, 0)
  profile.mergeEncoded(new Uint8Array(0))
  profile.add({ symbols: symbolsOf([[], ['a'], ['b', 'a']]), sums: sums(5, 0, 7) })
  const taken = profile.take()!
  assert.equal(taken.symbols.stackCount, 1)
  assert.deepEqual([...taken.sums.lo], [7])
})

test('what is larger than the limit is refused with the way out', () => {
  const profile = new StackProfile(100)
  assert.throws(() => profile.add({ symbols: symbolsOf([['a']]), sums: sums(1) }), {
    kind: 'invalid_argument',
    reason: 'merged_profile_limit',
    message: /the limit is 100: narrow the time range or the selector/,
  })
})

test('nodes are bounded, the root with them, also of a single partial answer', () => {
  const stacks = {
    symbols: symbolsOf([
      ['a', 'main'],
      ['b', 'main'],
    ]),
    sums: sums(1, 1),
  }
  const fits = new StackProfile(undefined, 4)
  fits.add(stacks)
  const encoded = fits.encode()
  const refused = { kind: 'invalid_argument', reason: 'stack_nodes_limit', message: /has 4 nodes, the limit is 3/ }
  assert.throws(() => new StackProfile(undefined, 3).add(stacks), refused)
  assert.throws(() => new StackProfile(undefined, 3).mergeEncoded(encoded), refused)
  const merged = new StackProfile(undefined, 4)
  merged.mergeEncoded(encoded)
  merged.mergeEncoded(encoded)
  assert.equal(merged.take()!.symbols.nodeCount, 4)
})

test('damaged bytes are a data loss, whatever the damage', () => {
  const profile = new StackProfile()
  profile.add({ symbols: symbolsOf([['leaf', ['inlined', 'outer'], 'main'], ['main']]), sums: sums(3, 4) })
  const good = profile.encode()
  for (let length = 1; length < good.length; length++) {
    assert.throws(() => new StackProfile().mergeEncoded(good.slice(0, length)), { kind: 'data_loss' })
  }
  assert.throws(() => new StackProfile().mergeEncoded(Uint8Array.of(9, ...good.slice(1))), /version is 9, known is 1/)
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const bad = good.slice()
      bad[at]! ^= flip
      try {
        new StackProfile().mergeEncoded(bad)
      } catch (error) {
        assert.equal((error as { kind?: string }).kind, 'data_loss')
      }
    }),
  )
})
