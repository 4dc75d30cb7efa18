import assert from 'node:assert/strict'
import { test } from 'node:test'
import { changeBit, RULE_CHANGES, tellChanges, watchRelabel } from '#core/ingest/rule-changes.ts'
import type { LabelPair } from '#core/labels/labels.ts'

const pairs = (labels: Record<string, string>): LabelPair[] =>
  Object.entries(labels).map(([name, value]) => ({ name, value }))
const SENT = pairs({ __name__: 'cpu', service_name: 'shop', pod: 'a', empty: '' })

function changesOf(...answers: (Record<string, string> | undefined)[]) {
  const next = answers.map((answer) => answer && pairs(answer))
  const watched = watchRelabel(() => next.shift())
  for (let i = answers.length; i > 0; i--) watched.relabel(SENT)
  return tellChanges(watched.bits, watched.renamedTo)
}

const reasonsOf = (...answers: Parameters<typeof changesOf>) => changesOf(...answers).map(({ reason }) => reason)

test('rules that change nothing say nothing, and what is empty is no change', () => {
  assert.deepEqual(changesOf({ __name__: 'cpu', service_name: 'shop', pod: 'a' }), [])
})

test('labels that are gone, new or others are told once; a series that is dropped too', () => {
  assert.deepEqual(reasonsOf({ __name__: 'cpu', service_name: 'shop' }), ['relabelled'])
  const changed = { __name__: 'cpu', service_name: 'shop', pod: 'b' }
  assert.deepEqual(reasonsOf(changed, { ...changed, zone: 'x' }), ['relabelled'])
  assert.deepEqual(reasonsOf({ ...changed, pod: 'a', zone: 'x' }), ['relabelled'])
  assert.deepEqual(reasonsOf(undefined, changed), ['relabelled', 'series_dropped_by_relabel_rules'])
})

test('a service that is stored under another name is told with that name', () => {
  const [told, ...others] = changesOf({ __name__: 'cpu', service_name: 'pay "1"', pod: 'a' })
  assert.deepEqual(others, [])
  assert.match(told!.message, /service_name to "pay \\"1\\""$/)
})

test('each change has a bit of its own and a sentence', () => {
  const names = Object.keys(RULE_CHANGES) as (keyof typeof RULE_CHANGES)[]
  const all = names.reduce((bits, name) => bits | changeBit(name), 0)
  assert.deepEqual(
    tellChanges(all, undefined),
    names.map((reason) => ({ reason, message: RULE_CHANGES[reason] })),
  )
  for (const reason of names) assert.equal(tellChanges(changeBit(reason), undefined)[0]!.reason, reason)
})
