import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isTextFormat, readTextProfile } from '#core/ingest/text-profile.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { decodeBytes, rootFirst } from '../../support/stack-counts.ts'

const FROM = 1_700_000_000_000_000_000n

function read(
  text: string,
  form: { format?: string; app?: string; sampleRate?: number } = {},
  user: [string, string][] = [],
) {
  return readTextProfile(
    {
      labels: [['__delta__', 'false'], ['pyroscope_spy', 'spy'], ...user].map(([name, value]) => ({
        name: name!,
        value: value!,
      })),
      ingest: {
        spyName: 'spy',
        fromNanos: FROM,
        untilNanos: FROM + 10n,
        sampleTypeConfig: new Uint8Array(0),
        format: 'groups',
        app: 'app.cpu',
        sampleRate: 100,
        ...form,
      },
      bytes: new TextEncoder().encode(text),
    },
    DEFAULT_LIMITS,
  )
}

function only(result: ReturnType<typeof read>) {
  assert.ok(result.ok, result.ok ? '' : result.fault.message)
  assert.equal(result.series.length, 1)
  const [series] = result.series
  return {
    labels: Object.fromEntries(series!.labels.map(({ name, value }) => [name, value])),
    profile: decodeBytes(series!.profiles[0]!.bytes),
    ingest: series!.ingest,
  }
}

test('a body of stacks becomes a pushed series', () => {
  const { labels, profile, ingest } = only(read('main;work 3\n'))
  assert.deepEqual(labels, { __delta__: 'false', __name__: 'process_cpu', pyroscope_spy: 'spy', service_name: 'app' })
  assert.deepEqual(rootFirst(profile), { 'main;work': 30_000_000n })
  assert.deepEqual([profile.timeNanos, profile.durationNanos], [FROM, 10n])
  assert.equal(ingest, undefined, 'nothing is left to be said of it')
})

test('a service that the client names stays, and the application is app_name', () => {
  const { labels } = only(read('a 1', { app: 'my.long.app.cpu' }, [['service_name', 'billing']]))
  assert.equal(labels.service_name, 'billing')
  assert.equal(labels.app_name, 'my.long.app')
})

test('profiles of a file have their name as a label', () => {
  const body = JSON.stringify({
    $schema: 'https://www.speedscope.app/file-format-schema.json',
    shared: { frames: [{ name: 'a' }] },
    profiles: [{ type: 'sampled', name: 'thread 1', unit: 'seconds', samples: [[0]], weights: [2] }],
  })
  const { labels, profile } = only(read(body, { format: 'speedscope', app: 'app' }))
  assert.equal(labels.profile_name, 'thread 1')
  assert.deepEqual(rootFirst(profile), { a: 2_000_000_000n })
})

test('nothing to store is no fault: no stacks, and an agent’s single spans', () => {
  for (const result of [read(''), read('main;work\n'), read('a 1', {}, [['profile_id', 'abc']])])
    assert.deepEqual(result, { ok: true, series: [] })
})

test('faults name their class', () => {
  const cases: [ReturnType<typeof read>, string, RegExp][] = [
    [read('a x'), 'malformed_body', /parsing "x"/],
    [read('a 1', { app: 'my.app' }), 'unknown_profile_type', /unknown profile type: app/],
    [read('{}', { format: 'speedscope' }), 'malformed_body', /Unknown schema/],
    [read(`a 1\n${' '.repeat(5 * 1024 * 1024)}`), 'profile_size_limit', /maxProfileSizeBytes, actual: 5242884/],
    [read(Array.from({ length: 16_001 }, (_, i) => `f${i} 1\n`).join('')), 'samples_limit', /actual: 16001/],
  ]
  for (const [result, reason, message] of cases) {
    assert.ok(!result.ok)
    assert.equal(result.fault.reason, reason)
    assert.match(result.fault.message, message)
  }
})

test('formats that are read here', () => {
  for (const format of ['groups', 'lines', 'tree', 'trie', 'speedscope']) assert.ok(isTextFormat(format), format)
  for (const format of [undefined, '', 'pprof', 'jfr', 'toString']) assert.ok(!isTextFormat(format), String(format))
})
