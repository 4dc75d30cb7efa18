import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  METERED_CHARS_MAX,
  METERED_SERVICES_MAX,
  RATE_HALF_LIFE_MS,
  RateMeter,
  RATES_MAX,
} from '#core/placement/rate-meter.ts'

const note = (service: string, bytes: number, profiles = 1) => ({ tenant: 't', service, bytes, profiles })

/** Notes `bytes` a second for so long, reading every `stepMs`; returns the last reading. */
function run(meter: RateMeter, from: { startMs: number; durationMs: number; stepMs: number; bytes: number }) {
  const { startMs, durationMs, stepMs, bytes } = from
  let read = meter.read(startMs)
  for (let atMs = startMs + stepMs; atMs <= startMs + durationMs; atMs += stepMs) {
    if (bytes > 0) meter.note(note('a', (bytes * stepMs) / 1_000, stepMs / 1_000))
    read = meter.read(atMs)
  }
  return read
}

test('half of a jump is seen after a half-life, however often it is read; then nearly all', () => {
  for (const stepMs of [500, 5_000, RATE_HALF_LIFE_MS]) {
    const meter = new RateMeter(0)
    const half = run(meter, { startMs: 0, durationMs: RATE_HALF_LIFE_MS, stepMs, bytes: 1_000 }).rates[0]!
    assert.ok(Math.abs(half.bytesPerSecond - 500) < 0.01, `${half.bytesPerSecond}`)
    assert.ok(Math.abs(half.profilesPerSecond - 0.5) < 0.001)
    const whole = run(meter, { startMs: RATE_HALF_LIFE_MS, durationMs: 150_000, stepMs, bytes: 1_000 }).rates[0]!
    assert.ok(whole.bytesPerSecond > 998 && whole.bytesPerSecond <= 1_000)
  }
})

test('what stopped halves, and is forgotten', () => {
  const meter = new RateMeter(0)
  run(meter, { startMs: 0, durationMs: 150_000, stepMs: 5_000, bytes: 1_000 })
  const half = run(meter, { startMs: 150_000, durationMs: RATE_HALF_LIFE_MS, stepMs: 5_000, bytes: 0 })
  assert.ok(Math.abs(half.rates[0]!.bytesPerSecond - 500) < 2)
  const gone = run(meter, { startMs: 165_000, durationMs: 400_000, stepMs: 5_000, bytes: 0 })
  assert.deepEqual(gone, { rates: [], restBytesPerSecond: 0, restProfilesPerSecond: 0 })
})

test('the highest have names, the others are one sum', () => {
  const meter = new RateMeter(0)
  for (let i = 0; i < RATES_MAX + 10; i++) meter.note(note(`s${i}`, 1_000 * (i + 1)))
  const { rates, restBytesPerSecond, restProfilesPerSecond } = meter.read(RATE_HALF_LIFE_MS)
  assert.equal(rates.length, RATES_MAX)
  assert.equal(rates[0]!.service, `s${RATES_MAX + 9}`)
  const sum = rates.reduce((total, rate) => total + rate.bytesPerSecond, restBytesPerSecond)
  const sent = (1_000 * (RATES_MAX + 10) * (RATES_MAX + 11)) / 2
  assert.ok(Math.abs(sum - sent / 30) < 1, `${sum} of ${sent / 30}`)
  assert.ok(Math.abs(restProfilesPerSecond - 10 / 30) < 0.001)
})

test('names past the bound count, in the rest', () => {
  const meter = new RateMeter(0)
  for (let i = 0; i < METERED_SERVICES_MAX; i++) meter.note(note(`s${i}`, 0, 1))
  meter.note(note('one more', 3_000_000, 30))
  const { rates, restBytesPerSecond } = meter.read(RATE_HALF_LIFE_MS)
  assert.ok(rates.every(({ service }) => service !== 'one more'))
  assert.ok(Math.abs(restBytesPerSecond - 100_000) < 1)
})

test('names that were forgotten make room', () => {
  const meter = new RateMeter(0)
  for (let i = 0; i < METERED_SERVICES_MAX; i++) meter.note(note(`s${i}`, 1))
  meter.read(5_000)
  meter.read(600_000)
  meter.note(note('late', 1_000_000))
  assert.deepEqual(
    meter.read(605_000).rates.map(({ service }) => service),
    ['late'],
  )
})

test('a clock that stands or was set back loses nothing', () => {
  const meter = new RateMeter(10_000)
  meter.note(note('a', 30_000))
  assert.equal(meter.read(10_000).rates[0]!.bytesPerSecond, 0)
  assert.equal(meter.read(4_000).rates[0]!.bytesPerSecond, 0)
  const rate = meter.read(4_000 + RATE_HALF_LIFE_MS).rates[0]!
  assert.ok(Math.abs(rate.bytesPerSecond - 1_000) < 0.01)
})

test('services of two tenants are two', () => {
  const meter = new RateMeter(0)
  meter.note({ tenant: 'a', service: 's', bytes: 3_000, profiles: 1 })
  meter.note({ tenant: 'b', service: 's', bytes: 6_000, profiles: 1 })
  assert.deepEqual(
    meter.read(RATE_HALF_LIFE_MS).rates.map(({ tenant }) => tenant),
    ['b', 'a'],
  )
})

test('a service of many small profiles is told by name before many of few large ones', () => {
  const meter = new RateMeter(0)
  for (let i = 0; i < RATES_MAX; i++) meter.note({ tenant: 't', service: `s${i}`, bytes: 20_000, profiles: 1 })
  meter.note({ tenant: 't', service: 'busy', bytes: 10_000, profiles: 50_000 })
  const { rates, restProfilesPerSecond } = meter.read(10_000)
  assert.equal(rates.length, RATES_MAX)
  assert.equal(rates[0]!.service, 'busy')
  assert.ok(restProfilesPerSecond < 1)
})

test('names of any length are counted, and no more of them are kept than a bound', () => {
  const meter = new RateMeter(0)
  const long = 'x'.repeat(4_000)
  for (let i = 0; i < 3_000; i++) meter.note(note(`${long}${i}`, 10))
  meter.note(note('y'.repeat(1_000_000), 10))
  meter.note(note('short', 10))
  const { rates } = meter.read(1_000)
  assert.ok(
    rates.every(({ service }) => service.length < 4_096),
    'what the table cannot name is in the rest',
  )
  const total = { bytes: 0, kept: 0 }
  for (let atMs = 1_000; atMs < 3_000; atMs += 1_000) {
    for (let i = 0; i < 3_000; i++) meter.note(note(`${long}${i}`, 10))
    const read = meter.read(atMs)
    total.bytes = read.restBytesPerSecond + read.rates.reduce((sum, { bytesPerSecond }) => sum + bytesPerSecond, 0)
    total.kept = meter.nameChars
  }
  assert.ok(total.bytes > 0)
  assert.ok(total.kept <= METERED_CHARS_MAX, String(total.kept))
  meter.read(10_000_000)
  meter.read(20_000_000)
  assert.equal(meter.nameChars, 0, 'the forgotten are given back')
})
