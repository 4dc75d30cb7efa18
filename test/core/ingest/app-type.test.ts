import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseAppType, sampledType } from '#core/ingest/app-type.ts'

/** `name:type:unit`, and the service. */
function of(app: string, rate = 0): [string, string] {
  const result = parseAppType(app)
  assert.ok(result.ok, app)
  const { name, type, unit, periodNanos } = sampledType(result.app.type, rate)
  return [`${name}:${type}:${unit}${periodNanos === undefined ? '' : `:${periodNanos}`}`, result.app.service]
}

test('the suffix of an application says what its values are', () => {
  const cases: [app: string, type: string, service: string][] = [
    ['app', 'process_cpu:samples:count', 'app'],
    ['app.cpu', 'process_cpu:samples:count', 'app'],
    ['my.long.app.itimer', 'process_cpu:samples:count', 'my.long.app'],
    ['app.wall', 'wall:samples:count', 'app'],
    ['app.seconds', 'wall:samples:count', 'app'],
    ['app.milliseconds', 'wall:samples:count', 'app'],
    ['app.microseconds', 'wall:samples:count', 'app'],
    ['app.nanoseconds', 'wall:samples:count', 'app'],
    ['app.inuse_objects', 'memory:inuse_objects:count', 'app'],
    ['app.alloc_objects', 'memory:alloc_objects:count', 'app'],
    ['app.inuse_space', 'memory:inuse_space:bytes', 'app'],
    ['app.alloc_space', 'memory:alloc_space:bytes', 'app'],
    ['app.bytes', 'memory:samples:bytes', 'app'],
    ['app.goroutines', 'goroutine:goroutines:count', 'app'],
    ['app.mutex_count', 'mutex:contentions:count', 'app'],
    ['app.mutex_duration', 'mutex:delay:nanoseconds', 'app'],
    ['app.block_count', 'block:contentions:count', 'app'],
    ['app.lock_count', 'block:contentions:count', 'app'],
    ['app.block_duration', 'block:delay:nanoseconds', 'app'],
    ['app.lock_duration', 'block:delay:nanoseconds', 'app'],
    ['app.alloc_in_new_tlab_objects', 'memory:alloc_in_new_tlab_objects:count', 'app'],
    ['app.alloc_in_new_tlab_bytes', 'memory:alloc_in_new_tlab_bytes:bytes', 'app'],
    ['app.alloc_outside_tlab_objects', 'memory:alloc_outside_tlab_objects:count', 'app'],
    ['app.alloc_outside_tlab_bytes', 'memory:alloc_outside_tlab_bytes:bytes', 'app'],
    ['app.live', 'memory:live:count', 'app'],
    ['app.exceptions', 'exceptions:samples:count', 'app'],
    ['.cpu', 'process_cpu:samples:count', ''],
  ]
  for (const [app, type, service] of cases) assert.deepEqual(of(app), [type, service], app)
})

test('a suffix that is none is refused with those that are', () => {
  for (const app of ['my.app', 'app.', 'app.CPU', 'app.toString', 'app.constructor']) {
    const result = parseAppType(app)
    assert.ok(!result.ok, app)
    assert.match(
      result.message,
      new RegExp(`unknown profile type: ${app.slice(app.lastIndexOf('.') + 1)};.*cpu, itimer`),
    )
  }
})

test('samples of CPU and wall time are as long as their rate says, others have no rate (H9)', () => {
  const cases: [app: string, rate: number, type: string][] = [
    ['app', 100, 'process_cpu:cpu:nanoseconds:10000000'],
    ['app.wall', 1_000, 'wall:wall:nanoseconds:1000000'],
    ['app', 3, 'process_cpu:cpu:nanoseconds:333333333'],
    ['app', 0, 'process_cpu:samples:count'],
    ['app', 5e9, 'process_cpu:cpu:nanoseconds:1'],
    ['app.alloc_space', 100, 'memory:alloc_space:bytes'],
  ]
  for (const [app, rate, type] of cases) assert.equal(of(app, rate)[0], type, `${app} ${rate}`)
})
