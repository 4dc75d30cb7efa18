import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findConcerns } from '#core/status/concerns.ts'
import { renderStatusText } from '#core/status/text.ts'
import { makeBadNight, makeQuietReport } from '../../support/status-report.ts'

test('columns stand below each other, numbers to the right', () => {
  const text = renderStatusText(makeQuietReport(), 'ring')
  assert.match(text, /^All is well\.\n\nCompaction workers\nworker /)
  const lines = text.slice(text.indexOf('Leases')).split('\n')
  assert.equal(lines[1], 'lease     holder                held since     until  epoch')
  assert.equal(lines[2], 'planning  replica-a                2 h ago  in 4.0 s      4')
  assert.equal(lines[3], 'cleaning  free, last replica-b           –  39 s ago    812')
})

test('what a terminal would obey becomes a question mark, and a paragraph is cut', () => {
  const report = { ...makeBadNight(), concerns: findConcerns(makeBadNight()) }
  const text = renderStatusText(report, 'status')
  // oxlint-disable-next-line no-control-regex -- that is what must not be there
  assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/)
  assert.ok(text.split('\n').every((line) => !line.includes('\t')))
  const long = { ...report, parked: [{ ...report.parked[0]!, reason: 'x'.repeat(500) }] }
  assert.match(renderStatusText(long, 'jobs'), /x{79}…$/m)
})

test('tones are handed to the painter with the padding', () => {
  const painted = renderStatusText(makeQuietReport(), 'jobs', (text, tone) => (tone === 'quiet' ? `<${text}>` : text))
  assert.match(painted, /<level +>/)
})
