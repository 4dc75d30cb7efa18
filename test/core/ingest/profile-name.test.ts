import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ingestLabels, parseSampleTypeConfig, profileName } from '#core/ingest/profile-name.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { ProfileDecoder } from '#core/pprof/decode.ts'
import { buildPprof } from '../../support/profiles.ts'

const bytes = (json: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(json))

function nameOf(types: string[], config?: unknown): string {
  const parsed = parseSampleTypeConfig(config === undefined ? new Uint8Array(0) : bytes(config))
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.fault.message)
  return profileName(types, parsed.config)
}

test('names from sample types alone', () => {
  const cases: [string[], string][] = [
    [['samples', 'cpu'], 'process_cpu'],
    [['samples'], 'process_cpu'],
    [['alloc_objects', 'alloc_space', 'inuse_objects', 'inuse_space'], 'memory'],
    [['space'], 'memory'],
    [['objects'], 'memory'],
    [['goroutine'], 'goroutines'],
    [['contentions', 'delay'], 'mutex'],
    [['samples', 'wall'], 'wall'],
    [['cpu', 'wall'], 'wall'],
    [['block_count'], 'block'],
    [['exception'], 'exception'],
    [['lock_count', 'lock_time'], 'lock_time'],
    [['exception', 'cpu'], 'process_cpu'],
    [['space_used'], 'space_used'],
  ]
  for (const [types, expected] of cases) assert.equal(nameOf(types), expected, types.join())
})

test('names from display names: the config replaces the defaults', () => {
  const config = (names: Record<string, string>) =>
    Object.fromEntries(
      Object.entries(names).map(([type, name]) => [type, { units: 'samples', 'display-name': name, sampled: true }]),
    )
  const cases: [string[], unknown, string][] = [
    [['samples', 'cpu'], config({ samples: 'things', cpu: 'inuse_space' }), 'memory'],
    [['contentions', 'delay'], config({ contentions: 'block_count', delay: 'block_duration' }), 'block'],
    [['goroutine'], config({ goroutine: 'goroutines' }), 'goroutines'],
    [['goroutine'], config({}), 'goroutine'],
    [['samples'], config({ other: 'x' }), 'samples'],
    [['samples'], config({ samples: '' }), 'samples'],
    [['samples'], { samples: { units: 'samples' } }, 'samples'],
    [['samples'], { samples: null }, 'samples'],
    [['wall'], config({ wall: 'cpu' }), 'wall'],
    [['samples'], null, 'process_cpu'],
  ]
  for (const [types, json, expected] of cases) assert.equal(nameOf(types, json), expected, JSON.stringify(json))
})

test('a config that cannot be read is a fault that says why', () => {
  const cases: [Uint8Array, RegExp][] = [
    [new TextEncoder().encode('{'), /sample_type_config cannot be read: /],
    [bytes([1]), /not an object of sample types/],
    [bytes('x'), /not an object of sample types/],
    [bytes({ cpu: 5 }), /the value of "cpu" is not an object/],
    [bytes({ cpu: { 'display-name': 5 } }), /display-name of "cpu" is not a string/],
  ]
  for (const [json, expected] of cases) {
    const result = parseSampleTypeConfig(json)
    assert.equal(result.ok, false)
    const { fault } = result as { fault: { reason: string; message: string } }
    assert.equal(fault.reason, 'malformed_profile')
    assert.match(fault.message, expected)
  }
})

test('the labels of a request get the name, whatever name they had', () => {
  const result = new ProfileDecoder().decode(
    buildPprof({ types: [['alloc_objects', 'count']], samples: [] }),
    DEFAULT_LIMITS,
  )
  assert.ok(result.ok)
  const labels = [
    { name: 'service_name', value: 'app' },
    { name: '__name__', value: 'mine' },
  ]
  assert.deepEqual(ingestLabels(labels, result.profile, new Uint8Array(0)), {
    ok: true,
    labels: [
      { name: 'service_name', value: 'app' },
      { name: '__name__', value: 'memory' },
    ],
  })
  assert.equal(ingestLabels(labels, result.profile, bytes([])).ok, false)
})
