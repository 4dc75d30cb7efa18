import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLog } from '#platform/log.ts'

function collect(isTerminal: boolean): { lines: string[]; log: ReturnType<typeof createLog> } {
  const lines: string[] = []
  const nowMs = () => Date.UTC(2026, 0, 2, 3, 4, 5, 6)
  return { lines, log: createLog({ isTerminal, nowMs, write: (line) => lines.push(line) }) }
}

test('one JSON object per line, whatever the fields hold', () => {
  const { lines, log } = collect(false)
  const cycle: { self?: unknown } = {}
  cycle.self = cycle
  log.warn('segment lost', { error: new Error('disk\nfull'), big: 2n ** 60n, cycle, nested: { big: 1n } })
  assert.deepEqual(JSON.parse(lines[0] as string), {
    time: '2026-01-02T03:04:05.006Z',
    level: 'warn',
    event: 'segment lost',
    error: 'disk\nfull',
    big: '1152921504606846976',
    cycle: '[object Object]',
    nested: { big: '1' },
  })
  assert.equal((lines[0] as string).includes('\n'), false)
})

test('a terminal gets text on one line, with quotes only where needed', () => {
  const { lines, log } = collect(true)
  log.info('listening', { address: 'http://127.0.0.1:4040', note: 'two words', count: 3 })
  log.error('failed', { error: new Error('a\nb') })
  assert.deepEqual(lines, [
    '03:04:05 info  listening address=http://127.0.0.1:4040 note="two words" count=3',
    '03:04:05 error failed error="a\\nb"',
  ])
})
