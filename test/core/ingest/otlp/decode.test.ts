import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { CinderError } from '#core/errors.ts'
import { OtlpDecoder } from '#core/ingest/otlp/decode.ts'
import { createDigest } from '#platform/digest.ts'
import { arbitraryOtlp } from '../../../support/arbitrary-otlp.ts'
import { buildOtlp, type OtlpModel, type OtlpProfile } from '../../../support/otlp.ts'
import { columnsOf, convertAndDecode, decodeOtlp, NO_LIMITS, openFirst } from '../../../support/otlp-profiles.ts'

const CPU: OtlpProfile = {
  type: ['samples', 'count'],
  periodType: ['cpu', 'nanoseconds'],
  period: 10_000_000n,
  timeNanos: 1_700_000_000_000_000_000n,
  samples: [],
}

function modelOf(...profiles: OtlpProfile[]): OtlpModel {
  return { resources: [{ attributes: { 'service.name': 'shop' }, scopes: [{ profiles }] }] }
}

test('any request, in either layout, becomes the columns, sizes and refusals that its pprofs give (H4)', {
  timeout: 120_000,
}, () => {
  fc.assert(
    fc.property(arbitraryOtlp, fc.constantFrom('1.9', '1.10'), (model, version) => {
      const bytes = buildOtlp(model, version)
      assert.deepEqual(decodeOtlp(bytes), convertAndDecode(bytes))
      const cut = { ...NO_LIMITS, maxSymbolBytes: 3, maxSamples: 2, maxProfileSizeBytes: 300 }
      assert.deepEqual(decodeOtlp(bytes, cut), convertAndDecode(bytes, cut))
    }),
    { numRuns: 60 },
  )
})

const RECORDED = join(process.env.FIXTURES_DIR ?? '', 'otlp', 'otel-ebpf-profile.pb.bin')

test('a recorded request likewise, where there is one', () => {
  const own = join(import.meta.dirname, '..', '..', '..', 'fixtures', 'requests', 'java-agent-otlp', 'export.bin')
  const { headers } = JSON.parse(readFileSync(join(own, '..', 'request.json'), 'utf8')) as { headers: object }
  const inflate = (bytes: Uint8Array): Uint8Array => (bytes[0] === 0x1f ? Bun.gunzipSync(new Uint8Array(bytes)) : bytes)
  assert.ok(headers !== undefined)
  const files = existsSync(RECORDED) ? [own, RECORDED] : [own]
  for (const file of files) {
    const bytes = inflate(new Uint8Array(readFileSync(file)))
    const decoded = decodeOtlp(bytes)
    assert.ok(decoded.profiles.length > 0, file)
    assert.deepEqual(decoded, convertAndDecode(bytes))
  }
})

test('a profile says the same however the dictionary of its request is arranged, and another says something else', () => {
  const digest = createDigest()
  const contentOf = (bytes: Uint8Array): string => {
    const decoder = new OtlpDecoder()
    const { tables, ...first } = openFirst(bytes)
    assert.ok(decoder.decode({ ...first, tables, limits: NO_LIMITS, sizeMax: 1e6 }).ok)
    return Buffer.from(digest.digest128(decoder.content(tables))).toString('hex')
  }
  const own: OtlpProfile = { ...CPU, samples: [{ stack: ['leaf', 'main'], values: [3n], attributes: { k: 'v' } }] }
  const other: OtlpProfile = { ...CPU, samples: [{ stack: ['x', 'main', 'leaf'], values: [9n] }] }
  const alone = contentOf(buildOtlp(modelOf(own)))
  // Built from the back: the first profile's entries have other numbers.
  const { resources } = modelOf(own)
  const behind = buildOtlp({ resources: [...resources, ...modelOf(other).resources] })
  assert.equal(contentOf(behind), alone)
  const changes: OtlpProfile[] = [
    { ...own, timeNanos: 1n },
    { ...own, samples: [{ ...own.samples[0]!, values: [4n] }] },
    { ...own, samples: [{ ...own.samples[0]!, stack: ['leaf', 'mair'] }] },
    { ...own, samples: [{ ...own.samples[0]!, attributes: { k: 'w' } }] },
    { ...own, samples: [...own.samples, ...own.samples] },
  ]
  for (const changed of changes) assert.notEqual(contentOf(buildOtlp(modelOf(changed))), alone)
})

test('a small request does not become more than it may', () => {
  const stack = Array.from({ length: 200 }, (_, i) => `function-${i}-${'x'.repeat(100)}`)
  const samples = Array.from({ length: 100 }, () => ({ stack, values: [1n] }))
  const first = openFirst(buildOtlp(modelOf({ ...CPU, samples })))
  const decoder = new OtlpDecoder()
  const decode = (sizeMax: number) => decoder.decode({ ...first, limits: NO_LIMITS, sizeMax })
  const { sizeBytes } = decode(1e6)
  assert.ok(decode(sizeBytes).ok)
  assert.throws(
    () => decode(sizeBytes - 1),
    (error) => error instanceof CinderError && error.reason === 'otlp_bytes_limit',
  )
  // Over a tenant's limit the size is that of the whole all the same.
  const over = decoder.decode({ ...first, limits: { ...NO_LIMITS, maxProfileSizeBytes: 5_000 }, sizeMax: 1e6 })
  assert.ok(!over.ok)
  assert.equal(over.sizeBytes, sizeBytes)
  assert.match(over.fault.message, new RegExp(`actual: ${sizeBytes}, limit: 5000`))
})

test('a giant leaves nothing behind in the profiles after it', () => {
  const samples = Array.from({ length: 300 }, (_, i) => ({ stack: [`f${i}`, 'main'], values: [1n] }))
  const decoder = new OtlpDecoder()
  const small = openFirst(buildOtlp(modelOf({ ...CPU, samples: samples.slice(0, 1) })))
  const read = () => {
    const result = decoder.decode({ ...small, limits: NO_LIMITS, sizeMax: 1e6 })
    assert.ok(result.ok)
    return columnsOf(result.profile)
  }
  const before = read()
  const giant = openFirst(buildOtlp(modelOf({ ...CPU, samples })))
  assert.ok(decoder.decode({ ...giant, limits: NO_LIMITS, sizeMax: 1e6 }).ok)
  assert.deepEqual(read(), before)
})
