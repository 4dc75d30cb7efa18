import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import type { WriteSeries } from '#core/rpc/segment-writer.ts'
import { readBodies } from '../../../apps/segment-writer/read-bodies.ts'

function body(text: string, format?: string): WriteSeries {
  return {
    labels: [{ name: 'pyroscope_spy', value: 'spy' }],
    profiles: [{ bytes: new TextEncoder().encode(text), clientId: '' }],
    ingest: { spyName: 'spy', fromNanos: 1n, sampleTypeConfig: new Uint8Array(0), format, app: 'app', sampleRate: 100 },
  }
}

test('each body is answered for itself, in order: series, nothing, a refusal; pprof passes through', () => {
  const pprof = body('not looked at')
  const request = [pprof, body('a 1', 'groups'), body('', 'lines'), body('a x', 'groups'), body('a', 'lines')]
  const read = [...readBodies(request, DEFAULT_LIMITS)]
  assert.deepEqual(
    read.map((each) => (each.kind === 'series' ? 'series' : `${each.verdict.status} ${each.verdict.reason}`)),
    ['series', 'series', 'empty ', 'rejected malformed_body', 'series'],
  )
  assert.ok(read[0]!.kind === 'series')
  assert.equal(read[0]!.series, pprof)
})

test('a body of a form that this writer does not know is sent again, for one that knows it', () => {
  const unknown = {
    ...body('otlp', 'otlp-3.0'),
    profiles: [0, 1].map((i) => ({ bytes: Uint8Array.of(i), clientId: '' })),
  }
  const read = [
    ...readBodies([unknown, body('jfr', 'jfr'), body('otlp', 'otlp-1.9'), body('pprof', '')], DEFAULT_LIMITS),
  ]
  assert.deepEqual(
    read.map((each) => (each.kind === 'series' ? 'series' : `${each.verdict.kind} ${each.verdict.reason}`)),
    ['unavailable unknown_format', 'unavailable unknown_format', 'series', 'series', 'series'],
  )
})
