import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fixGoProfile } from '#core/pprof/go-fixes.ts'
import { decodeProfile, stacksOf } from '../../support/decoded-profile.ts'

function frames(from: number, to: number, suffix = ''): string[] {
  return Array.from({ length: to - from }, (_, i) => `f${to - 1 - i}${suffix}`)
}

test('a profile that needs nothing is the same object', () => {
  const profile = decodeProfile({ samples: [{ stack: ['a', 'b'], values: [1] }] })
  assert.equal(fixGoProfile(profile), profile)
})

test('stacks are compared by their names without type parameters', () => {
  const types = [['alloc_space', 'bytes']] as const
  const whole = frames(0, 30, '[int]')
  const cut = ['leaf', 'leaf2', ...frames(6, 32, '[string]')]
  const fixed = fixGoProfile(decodeProfile({ types, samples: [whole, cut].map((stack) => ({ stack, values: [1] })) }))
  assert.deepEqual(stacksOf(fixed), [frames(0, 30), ['leaf', 'leaf2', ...frames(0, 32)]])
})
