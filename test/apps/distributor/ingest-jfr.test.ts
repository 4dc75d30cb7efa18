/** What of a JFR push reaches the writer, and what is refused before it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { WriteSeries } from '#core/rpc/segment-writer.ts'
import { seriesOfRecording } from '../../../apps/distributor/ingest-jfr.ts'
import { ingestName } from '../../../apps/distributor/ingest-request.ts'

const NOW_MS = 1_764_000_000_000
const RECORDING = Uint8Array.of(0x46, 0x4c, 0x52, 0, 1)
const LABELS = Uint8Array.of(0x1f, 0x8b, 7)

function seriesOf(contentType: string, body: Uint8Array, name = 'shop{region=eu}'): WriteSeries {
  const parameters = { name, spyName: 'javaspy', from: '1763999990', until: '1764000000', sampleRate: '50' }
  return seriesOfRecording(contentType, body, { named: ingestName(parameters), parameters, nowMs: NOW_MS })
}

function formOf(parts: Readonly<Record<string, Uint8Array>>): Uint8Array {
  const pieces = Object.entries(parts).flatMap(([name, bytes]) => [
    Buffer.from(`--b\r\nContent-Disposition: form-data; name="${name}"; filename="${name}"\r\n\r\n`),
    Buffer.from(bytes),
    Buffer.from('\r\n'),
  ])
  return Uint8Array.from(Buffer.concat([...pieces, Buffer.from('--b--\r\n')]))
}

const FORM = 'multipart/form-data; boundary=b'
const pairsOf = ({ labels }: WriteSeries): string[] => labels.map(({ name, value }) => `${name}=${value}`)

test('a form has the recording and the labels of what it sampled, neither looked into', () => {
  const series = seriesOf(FORM, formOf({ labels: LABELS, jfr: RECORDING }))
  assert.deepEqual(series.profiles, [{ bytes: RECORDING, clientId: '' }])
  assert.deepEqual(pairsOf(series), ['__delta__=false', 'pyroscope_spy=javaspy', 'region=eu', 'service_name=shop'])
  const { format, fromNanos, untilNanos, sampleRate, recordingLabels } = series.ingest!
  assert.deepEqual(
    [format, fromNanos, untilNanos, sampleRate],
    ['jfr', 1_763_999_990_000_000_000n, 1_764_000_000_000_000_000n, 50],
  )
  assert.deepEqual(recordingLabels, LABELS)
})

test('a whole body is a recording without labels', () => {
  const series = seriesOf('application/octet-stream', RECORDING)
  assert.deepEqual(series.profiles[0]!.bytes, RECORDING)
  assert.equal(series.ingest!.recordingLabels!.length, 0)
})

test('where the name gives a service the application is a label of its own', () => {
  const series = seriesOf('', RECORDING, 'my.java.app{service_name=billing}')
  assert.deepEqual(pairsOf(series), [
    '__delta__=false',
    'app_name=my.java.app',
    'pyroscope_spy=javaspy',
    'service_name=billing',
  ])
})

test('without a recording there is nothing to take', () => {
  const faults: readonly (readonly [string, Uint8Array, RegExp])[] = [
    [FORM, formOf({ labels: LABELS }), /jfr field is required/],
    [FORM, formOf({ jfr: new Uint8Array(0) }), /jfr field is required/],
    [FORM, RECORDING, /the form cannot be read/],
    ['', new Uint8Array(0), /the body is empty/],
  ]
  for (const [contentType, body, message] of faults) {
    assert.throws(() => seriesOf(contentType, body), { kind: 'invalid_argument', message })
  }
})
