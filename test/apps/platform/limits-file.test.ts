import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { openLimitsFile, REREAD_MS } from '#platform/limits-file.ts'
import { createManualClock } from '../../support/manual-clock.ts'

const log = () => {
  const events: string[] = []
  const note = (event: string) => void events.push(event)
  return { events, info: note, warn: note, error: note }
}

/** A file of texts; an error is thrown. */
function fileOf(first: string) {
  const file = { text: first as string | Error, reads: 0 }
  const read = () => {
    file.reads++
    return file.text instanceof Error ? Promise.reject(file.text) : Promise.resolve(file.text)
  }
  return { file, read }
}

test('what changes in the file holds without a restart; what is wrong there changes nothing', async () => {
  const clock = createManualClock(0)
  const told = log()
  const { file, read } = fileOf('{"tenants":{"a":{"maxSamples":1}}}')
  const limits = await openLimitsFile(DEFAULT_LIMITS, '/limits.json', { clock, log: told, read })
  assert.equal(limits.limitsOf('a').maxSamples, 1)
  assert.equal(limits.limitsOf('b').maxSamples, DEFAULT_LIMITS.maxSamples)
  const steps: [text: string | Error, samples: number, told: string | undefined][] = [
    ['{"tenants":{"a":{"maxSamples":2}}}', 2, 'limits file read again'],
    ['{"tenants":{"a":{"maxSample":3}}}', 2, 'limits file is wrong, the last good settings stay'],
    ['{"tenants":{"a":{"maxSample":3}}}', 2, undefined],
    [new Error('gone'), 2, 'limits file is wrong, the last good settings stay'],
    [new Error('gone'), 2, undefined],
    ['{"tenants":{"a":{"maxSamples":4,"ingest":{}}}}', 4, 'limits file read again'],
  ]
  for (const [text, samples, event] of steps) {
    file.text = text
    told.events.length = 0
    await clock.advance(REREAD_MS)
    assert.equal(limits.limitsOf('a').maxSamples, samples)
    assert.deepEqual(told.events, event === undefined ? [] : [event])
  }
  assert.equal(limits.policyOf('a'), '{}')
  const { reads } = file
  await limits.stop()
  await clock.advance(REREAD_MS)
  assert.equal(file.reads, reads)
})

test('a file that is wrong at the start is one sentence', async () => {
  const deps = { clock: createManualClock(0), log: log() }
  const open = (text: string) => openLimitsFile(DEFAULT_LIMITS, '/limits.json', { ...deps, read: fileOf(text).read })
  await assert.rejects(open('{'), /^CinderError: setting CINDER_LIMITS_FILE: \/limits.json is not JSON/)
  await assert.rejects(open('{"tenants":{"a":{"x":1}}}'), /\/limits.json: tenants.a: unknown limit "x"/)
  await assert.rejects(
    openLimitsFile(DEFAULT_LIMITS, '/nowhere/limits.json', deps),
    /\/nowhere\/limits.json cannot be read/,
  )
})

test('without a file all have the limits of the process', async () => {
  const limits = await openLimitsFile(DEFAULT_LIMITS, undefined, { clock: createManualClock(0), log: log() })
  assert.equal(limits.limitsOf('a'), DEFAULT_LIMITS)
  await limits.stop()
})
