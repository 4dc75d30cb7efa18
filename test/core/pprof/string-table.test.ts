import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkStrings, shortenStrings, stringAt } from '#core/pprof/string-table.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { ProfileDecoder } from '#core/pprof/decode.ts'
import type { DecodedProfile } from '#core/pprof/profile.ts'
import { buildPprof } from '../../support/profiles.ts'

function profileWith(...names: string[]): DecodedProfile {
  const raw = buildPprof({ samples: [{ stack: names, values: [1] }] })
  const result = new ProfileDecoder().decode(raw, { ...DEFAULT_LIMITS, maxSymbolBytes: 0 })
  assert.ok(result.ok)
  return result.profile
}

function names(profile: DecodedProfile): string[] {
  return Array.from({ length: profile.functionCount }, (_, i) => stringAt(profile, profile.functionName[i]!))
}

test('strings are read where they lie', () => {
  assert.deepEqual(names(profileWith('main', 'größe', '')), ['main', 'größe', ''])
})

test('the check finds an index at the count, and accepts the one below', () => {
  const profile = profileWith('main')
  assert.equal(checkStrings(profile, 0), undefined)
  assert.equal(checkStrings(profile, profile.stringCount - 1), undefined)
  assert.match(
    checkStrings(profile, profile.stringCount) ?? '',
    new RegExp(`string index ${profile.stringCount} out of range`),
  )
  profile.functionName[0] = profile.stringCount
  assert.match(checkStrings(profile, 0) ?? '', /function name string index out of range/)
})

test('a bad string is shown, but not whole', () => {
  const profile = profileWith('x'.repeat(200))
  const at = profile.functionName[0]!
  profile.raw[profile.stringStart[at]!] = 0xff
  const message = checkStrings(profile, 0) ?? ''
  assert.match(message, /^invalid utf8 string \d+, hex: ff78/)
  assert.match(message, /… \(200 bytes\)$/)
  assert.ok(message.length < 220)
})

test('shortening keeps the end of each string, and whole characters', () => {
  const profile = profileWith('abcdef', 'abc', '€€')
  shortenStrings(profile, 4)
  assert.deepEqual(names(profile), ['cdef', 'abc', '€'])
})
