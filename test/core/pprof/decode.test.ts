import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import * as fc from 'fast-check'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { type DecodeRepairs, ProfileDecoder } from '#core/pprof/decode.ts'
import { encodePprof } from '#core/pprof/encode.ts'
import { type DecodedProfile, NO_ROW, type ProfileFault } from '#core/pprof/profile.ts'
import { stringAt } from '#core/pprof/string-table.ts'
import { getBigInt } from '#core/wire/int64.ts'
import {
  arbitraryProfileSpec,
  buildPprof,
  byHand,
  message,
  realShapedSpec,
  rewritePprof,
  seededRandom,
} from '../../support/profiles.ts'
import { decodeReference, describeProfile } from '../../support/reference-pprof.ts'

const UNLIMITED = { ...DEFAULT_LIMITS, maxProfileSizeBytes: 0, maxSamples: 0, maxSymbolBytes: 0 }

function decoded(raw: Uint8Array, limits = DEFAULT_LIMITS, repairs: DecodeRepairs = {}): DecodedProfile {
  const result = new ProfileDecoder().decode(raw, limits, repairs)
  assert.ok(result.ok, result.ok ? '' : result.fault.message)
  return result.profile
}

function faultOf(raw: Uint8Array, limits = DEFAULT_LIMITS): ProfileFault {
  const result = new ProfileDecoder().decode(raw, limits)
  assert.equal(result.ok, false)
  return (result as { fault: ProfileFault }).fault
}

test('property: decode(encode(x)) says what x says', () => {
  fc.assert(
    fc.property(arbitraryProfileSpec(), (model) => {
      const profile = decoded(encodePprof(model), UNLIMITED)
      const plain = describeProfile(profile)
      assert.deepEqual(
        plain.types,
        model.types.map((t) => JSON.stringify([t.type, t.unit])),
      )
      assert.deepEqual(plain.scalars, {
        timeNanos: model.timeNanos,
        durationNanos: model.durationNanos,
        period: model.period,
      })
      assert.deepEqual(plain.texts, {
        dropFrames: model.dropFrames,
        keepFrames: model.keepFrames,
        defaultSampleType: model.defaultSampleType,
      })
      assert.deepEqual(plain.comments, model.comments)
      assert.deepEqual(
        plain.samples.map((s) => s.values),
        model.samples.map((s) => [...s.values]),
      )
      assert.deepEqual(
        plain.samples.map((s) => s.stack.map((l) => [l?.address, l?.folded, l?.lines.map((line) => line?.line)])),
        model.samples.map((s) =>
          s.stack.map((l) => [l.address ?? 0n, l.folded ?? false, l.lines.map((line) => line.line)]),
        ),
      )
      assert.deepEqual(
        plain.samples.map((s) => s.labels),
        model.samples.map((s) =>
          (s.labels ?? []).map((l) => JSON.stringify([l.key, l.value ?? '', String(l.number ?? 0n), l.unit ?? ''])),
        ),
      )
    }),
    { numRuns: 150 },
  )
})

test('property: columns equal a slow reference decoder, however the profile is written', () => {
  const decoder = new ProfileDecoder()
  fc.assert(
    fc.property(arbitraryProfileSpec(), fc.nat(1_000_000), (model, seed) => {
      for (const raw of [encodePprof(model), rewritePprof(encodePprof(model), seed)]) {
        const result = decoder.decode(raw, UNLIMITED)
        assert.ok(result.ok, result.ok ? '' : result.fault.message)
        assert.deepEqual(describeProfile(result.profile), decodeReference(raw))
      }
    }),
    { numRuns: 150 },
  )
})

test('a profile of real shape equals the reference decoder, and so does the next one in the same decoder', () => {
  const decoder = new ProfileDecoder()
  for (const samples of [700, 3, 1500]) {
    const raw = buildPprof(realShapedSpec({ samples, seed: samples }))
    const result = decoder.decode(raw, DEFAULT_LIMITS)
    assert.ok(result.ok)
    assert.equal(result.profile.sampleCount, samples)
    assert.deepEqual(describeProfile(result.profile), decodeReference(raw))
  }
})

test('every truncation of a profile is a fault or a profile without its end, never a throw', () => {
  const raw = buildPprof(realShapedSpec({ samples: 20 }))
  const decoder = new ProfileDecoder()
  let faults = 0
  for (let end = 0; end < raw.length; end++) {
    const result = decoder.decode(raw.subarray(0, end), DEFAULT_LIMITS)
    if (result.ok) assert.deepEqual(describeProfile(result.profile), decodeReference(raw.subarray(0, end)))
    else {
      assert.equal(result.fault.reason, 'malformed_profile')
      faults++
    }
  }
  // Only a cut between two of the last strings leaves a readable table with every index in range.
  assert.ok(faults >= raw.length - 2, `${faults} of ${raw.length}`)
})

test('10,000 damaged profiles: a fault or a profile, and then what the reference decoder reads', () => {
  const raw = buildPprof(realShapedSpec({ samples: 30, functions: 20 }))
  const decoder = new ProfileDecoder()
  const random = seededRandom(42)
  let profiles = 0
  for (let round = 0; round < 10_000; round++) {
    const damaged = raw.slice()
    for (let flips = 1 + random(3); flips > 0; flips--) damaged[random(raw.length)]! ^= 1 << random(8)
    const result = decoder.decode(damaged, DEFAULT_LIMITS)
    if (!result.ok) assert.ok(result.fault.message.length > 0)
    else if (result.profile.valueCountMismatches === 0 && profiles++ % 20 === 0) {
      assert.deepEqual(describeProfile(result.profile), decodeReference(damaged))
    }
  }
  assert.ok(profiles > 1_000, `${profiles} readable ones`)
})

test('int64 is exact to the last bit', () => {
  const values = [2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n + 1n, -1n, 0n, 2n ** 28n, 2n ** 28n - 1n, 2n ** 32n]
  const profile = decoded(buildPprof({ samples: values.map((value) => ({ stack: ['f'], values: [value] })) }))
  assert.deepEqual(
    values.map((_, i) => getBigInt(profile.sampleValue, i)),
    values,
  )
})

test('value counts that differ from the sample types are counted, wherever the types stand', () => {
  const sample = (...values: number[]) =>
    message((s) =>
      s.messageField(
        2,
        message((p) => values.forEach((v) => p.varint(v))),
      ),
    )
  const raw = byHand((w) => {
    w.messageField(2, sample(1))
    w.messageField(2, sample(1, 2))
    w.messageField(2, sample())
  })
  assert.equal(decoded(raw).valueCountMismatches, 2)
  assert.equal(decoded(rewritePprof(raw, 7)).valueCountMismatches, 2)
})

test('ids may be sparse, wide, duplicate, dangling or zero (H12)', () => {
  const big = 2n ** 64n - 1n
  const raw = byHand((w) => {
    for (const ids of [[big], [5n, 3_000_000n], [0n], [77n], [5n]]) {
      w.messageField(
        2,
        message((s) => {
          s.messageField(
            1,
            message((p) => ids.forEach((id) => p.varintBigInt(id))),
          )
          s.messageField(
            2,
            message((p) => p.varint(1)),
          )
        }),
      )
    }
    const location = (id: bigint, mapping: bigint, fn: bigint): void =>
      w.messageField(
        4,
        message((l) => {
          l.varintField(1, id)
          l.varintField(2, mapping)
          l.messageField(
            4,
            message((line) => line.varintField(1, fn)),
          )
        }),
      )
    location(5n, 9n, 1n)
    location(big, 2n ** 40n, 2n ** 50n)
    location(3_000_000n, 0n, 4n)
    location(5n, 10n, 0n)
    w.messageField(
      3,
      message((m) => {
        m.varintField(1, 9)
        m.varintField(5, 2)
      }),
    )
    w.messageField(
      3,
      message((m) => {
        m.varintField(1, 2n ** 40n)
        m.varintField(5, 1)
      }),
    )
    for (const id of [1n, 2n ** 50n])
      w.messageField(
        5,
        message((f) => {
          f.varintField(1, id)
          f.varintField(2, 1)
        }),
      )
  })
  const p = decoded(raw)
  const rows = Array.from(p.sampleLocation.subarray(0, p.sampleLocationStart[p.sampleCount]))
  // The second location with id 5 wins; 0 and 77 have no row.
  assert.deepEqual(rows, [1, 3, 2, NO_ROW, NO_ROW, 3])
  assert.deepEqual(Array.from(p.locationMapping.subarray(0, 4)), [0, 1, NO_ROW, NO_ROW])
  assert.deepEqual(Array.from(p.lineFunction.subarray(0, 4)), [0, 1, NO_ROW, NO_ROW])
})

test('function ids that are all zero are counted, or taken from the locations', () => {
  const raw = byHand((w) => {
    for (const id of [4, 3])
      w.messageField(
        4,
        message((l) => {
          l.varintField(1, id)
          l.messageField(
            4,
            message((line) => line.varintField(1, id)),
          )
        }),
      )
    for (const name of [1, 2])
      w.messageField(
        5,
        message((f) => f.varintField(2, name)),
      )
  })
  assert.equal(decoded(raw).zeroFunctionIds, 2)
  assert.deepEqual(Array.from(decoded(raw).lineFunction.subarray(0, 2)), [NO_ROW, NO_ROW])
  const repaired = decoded(raw, DEFAULT_LIMITS, { functionIdsFromLocations: true })
  assert.equal(repaired.zeroFunctionIds, 0)
  assert.deepEqual(Array.from(repaired.lineFunction.subarray(0, 2)), [0, 1])
})

test('size and sample limits name limit, value and allowed; 0 switches them off', () => {
  const raw = buildPprof({ samples: Array.from({ length: 11 }, () => ({ stack: ['f'], values: [1] })) })
  const over = faultOf(raw, { ...DEFAULT_LIMITS, maxSamples: 10 })
  assert.equal(over.reason, 'samples_limit')
  assert.match(over.message, /maxSamples, actual: 11, limit: 10/)
  assert.equal(decoded(raw, { ...DEFAULT_LIMITS, maxSamples: 11 }).sampleCount, 11)
  assert.equal(decoded(raw, UNLIMITED).sampleCount, 11)
  const size = faultOf(raw, { ...DEFAULT_LIMITS, maxProfileSizeBytes: 50 })
  assert.equal(size.reason, 'profile_size_limit')
  assert.match(size.message, new RegExp(`maxProfileSizeBytes, actual: ${raw.length}, limit: 50`))
})

test('a long symbol keeps its end, and begins with a whole character', () => {
  const long = `${'s'.repeat(70_000)}END`
  const p = decoded(buildPprof({ samples: [{ stack: [long, 'main'], values: [1] }] }))
  const name = stringAt(p, p.functionName[0]!)
  assert.equal(name.length, 65_535)
  assert.ok(name.endsWith('sEND'))
  const wide = decoded(buildPprof({ samples: [{ stack: ['größe'], values: [1] }] }), {
    ...DEFAULT_LIMITS,
    maxSymbolBytes: 4,
  })
  // 'größe' is 7 bytes; its last four begin inside ö.
  assert.equal(stringAt(wide, wide.functionName[0]!), 'ße')
})

test('the deepest sample and the longest label list are known', () => {
  const p = decoded(
    buildPprof({
      samples: [
        { stack: ['a', 'b', 'c'], values: [1] },
        { stack: [], values: [1], labels: { a: '1', b: '2' } },
      ],
    }),
  )
  assert.deepEqual([p.sampleDepthMax, p.sampleLabelsMax], [3, 2])
})

test('a giant profile does not pin its memory: the columns after it are small again', () => {
  const decoder = new ProfileDecoder()
  const giant = message((w) => {
    w.rawBytes(buildPprof({ samples: [] }))
    w.bytesField(99, new Uint8Array(17 * 1024 * 1024))
  })
  assert.ok(decoder.decode(giant.copyBytes(), UNLIMITED).ok)
  const after = decoder.decode(buildPprof({ samples: [{ stack: ['f'], values: [1] }] }), UNLIMITED)
  assert.ok(after.ok && after.profile.sampleLocation.length <= 16_384)
})

const FIXTURES = process.env.FIXTURES_DIR
if (FIXTURES !== undefined) {
  const files = readdirSync(join(FIXTURES, 'pprof'), { recursive: true }).map(String)
  for (const file of files.filter((f) => !/\.(txt|json)$/.test(f) && statSync(join(FIXTURES, 'pprof', f)).isFile())) {
    test(`fixture ${file} equals the reference decoder`, () => {
      const bytes = new Uint8Array(readFileSync(join(FIXTURES, 'pprof', file)))
      const raw = bytes[0] === 0x1f ? new Uint8Array(gunzipSync(bytes)) : bytes
      if (file.includes('invalid_utf8')) assert.match(faultOf(raw, UNLIMITED).message, /invalid utf8/)
      else assert.deepEqual(describeProfile(decoded(raw, UNLIMITED)), decodeReference(raw))
    })
  }
  assert.ok(existsSync(join(FIXTURES, 'pprof', 'heap')))
}

test('the bytes of the tables are known where they lie in few runs, and only there', () => {
  const tablesOf = (bytes: Uint8Array, limits: Partial<typeof DEFAULT_LIMITS> = {}, repairs = {}): number[] => {
    const decoded = new ProfileDecoder().decode(bytes, { ...DEFAULT_LIMITS, ...limits }, repairs)
    assert.ok(decoded.ok)
    const runs = decoded.profile.tableRuns
    return runs.flatMap((at, i) => (i % 2 === 0 ? [...bytes.subarray(at, runs[i + 1])] : []))
  }
  const spec = { samples: [{ stack: ['leaf', 'root'], values: [3] }] }
  const whole = buildPprof(spec)
  const tables = tablesOf(whole)
  assert.ok(tables.length > 0)
  const otherRows = { ...spec, timeNanos: 9n, samples: [{ stack: ['leaf', 'root'], values: [400] }] }
  assert.deepEqual(tablesOf(buildPprof(otherRows)), tables)
  assert.notDeepEqual(tablesOf(buildPprof({ samples: [{ stack: ['other', 'root'], values: [3] }] })), tables)
  // A duration, then a string.
  const more = [0x50, 0x05, 0x32, 0x01, 0x78]
  assert.deepEqual(tablesOf(new Uint8Array([...whole, ...more])), [...tables, 0x32, 0x01, 0x78])
  assert.deepEqual(tablesOf(new Uint8Array([...whole, ...more, ...more, ...more, ...more])), [], 'many runs')
  assert.deepEqual(tablesOf(whole, { maxSymbolBytes: 2 }), [], 'cut strings')
  assert.deepEqual(tablesOf(whole, {}, { functionIdsFromLocations: true }), [], 'repaired ids')
})
