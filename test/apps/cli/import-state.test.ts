import assert from 'node:assert/strict'
import { test } from 'node:test'
import { begunLine, doneLine, nextStep, parseState, SEND_AGAIN_MS } from '../../../apps/cli/import-state.ts'

const [A, B, C] = ['a', 'b', 'c'].map((letter) => `${letter}`.repeat(36)) as [string, string, string]
const NOW_MS = 1_764_000_000_000

test('what is done is passed over, what was begun is sent again while the server knows its id, then asked about', () => {
  const text = begunLine(A, NOW_MS) + begunLine(B, NOW_MS) + doneLine(A)
  const state = parseState(text)
  assert.equal(nextStep(state, A, NOW_MS + 1), 'skip')
  assert.equal(nextStep(state, B, NOW_MS + SEND_AGAIN_MS - 1), 'send')
  assert.equal(nextStep(state, B, NOW_MS + SEND_AGAIN_MS), 'ask')
  // A clock that was set back says nothing about what the server knows.
  assert.equal(nextStep(state, B, NOW_MS - 1), 'ask')
  assert.equal(nextStep(state, C, NOW_MS), 'send')
})

test('what several runs began counts from the first: the server may have it since then', () => {
  const text = begunLine(A, NOW_MS) + begunLine(A, NOW_MS + SEND_AGAIN_MS - 1)
  assert.equal(nextStep(parseState(text), A, NOW_MS + SEND_AGAIN_MS), 'ask')
})

test('a file that ends in the middle of a line, or is none, is read as far as it goes', () => {
  const text = begunLine(A, NOW_MS) + doneLine(A)
  for (let cut = 0; cut <= text.length; cut++) {
    const step = nextStep(parseState(text.slice(0, cut)), A, NOW_MS)
    assert.ok(cut >= text.length - 1 ? step === 'skip' : step === 'send' || step === 'ask', `${cut}: ${step}`)
  }
  assert.equal(nextStep(parseState('done\nbegun x\n\0\nrubbish'), A, NOW_MS), 'send')
})
