/**
 * Our decoder against profiles of real agents: what it reads, collapsed at the function level, equals the dump that
 * `go tool pprof` made of the same bytes. See test/fixtures/profiles/README.md.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { ProfileDecoder } from '#core/pprof/decode.ts'
import type { DecodedProfile } from '#core/pprof/profile.ts'
import { getBigInt } from '#core/wire/int64.ts'
import { createCodec } from '#platform/codec.ts'

const PROFILES = join(import.meta.dirname, '..', 'fixtures', 'profiles')
const AGENTS = ['go-agent', 'node-agent']
const SIZE_BYTES_MAX = 1 << 20

function collapse(profile: DecodedProfile): string {
  const text = (index: number): string => {
    const start = profile.stringStart[index]
    return new TextDecoder().decode(profile.raw.subarray(start, start + profile.stringLength[index]))
  }
  const types = profile.sampleTypes.map(({ type, unit }) => `${text(type)}/${text(unit)}`)
  const sums = new Map<string, bigint[]>()
  for (let sample = 0; sample < profile.sampleCount; sample++) {
    const frames: string[] = []
    for (let i = profile.sampleLocationStart[sample]; i < profile.sampleLocationStart[sample + 1]; i++) {
      const location = profile.sampleLocation[i]
      for (let line = profile.locationLineStart[location]; line < profile.locationLineStart[location + 1]; line++) {
        frames.push(text(profile.functionName[profile.lineFunction[line]]))
      }
    }
    const stack = frames.reverse().join(';')
    const values = types.map((_, type) => getBigInt(profile.sampleValue, sample * types.length + type))
    const sum = sums.get(stack)
    sums.set(stack, sum === undefined ? values : sum.map((value, i) => value + values[i]))
  }
  const rows = [...sums].map(([stack, values]) => `${stack} ${values.join(' ')}`)
  return [`# ${types.join(' ')}`, ...rows.sort(), ''].join('\n')
}

function decode(path: string): DecodedProfile {
  const raw = createCodec().gunzip(readFileSync(path), SIZE_BYTES_MAX)
  const result = new ProfileDecoder().decode(raw, DEFAULT_LIMITS)
  assert.ok(result.ok, path)
  return result.profile
}

for (const agent of AGENTS) {
  const folder = join(PROFILES, agent)
  const kinds = readdirSync(folder).filter((name) => name.endsWith('.pprof.gz'))

  test(`${agent}: there are recorded profiles`, () => {
    assert.ok(kinds.includes('cpu.pprof.gz'))
    assert.ok(kinds.includes('inuse_space.pprof.gz'))
  })

  for (const name of kinds) {
    test(`${agent}: ${name} reads as pprof reads it`, () => {
      const expected = readFileSync(join(folder, name.replace('.pprof.gz', '.collapsed.txt')), 'utf8')
      assert.equal(collapse(decode(join(folder, name))), expected)
    })
  }
}
