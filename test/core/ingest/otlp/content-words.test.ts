import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Words, writeContent } from '#core/ingest/otlp/content-words.ts'
import { StringColumns } from '#core/ingest/otlp/profile-rows.ts'
import { EntryRanges } from '#core/ingest/otlp/request.ts'
import { RequestStrings } from '#core/ingest/otlp/request-strings.ts'
import type { DecodedProfile } from '#core/pprof/profile.ts'
import type { ProfileSpec } from '../../../support/profiles.ts'
import { decodeProfile } from '../../../support/decoded-profile.ts'

/** The strings of a profile in a table of their own. */
function contentOf(profile: DecodedProfile, words = new Words()): string {
  const ranges = new EntryRanges()
  const numbers = new StringColumns()
  for (let row = 0; row < profile.stringCount; row++) {
    const start = profile.stringStart[row]!
    ranges.push(start, start + profile.stringLength[row]!)
    numbers.add(row)
  }
  const strings = new RequestStrings(profile.raw, ranges)
  for (let row = 0; row < profile.stringCount; row++) strings.look(row)
  writeContent(profile, { numbers, strings }, words)
  return Buffer.from(words.bytes()).toString('hex')
}

const SPEC: ProfileSpec = {
  types: [['cpu', 'nanoseconds']],
  timeNanos: 5n,
  samples: [
    {
      stack: [
        ['leaf', 'a.go', 1],
        ['main', 'a.go', 2],
      ],
      values: [3],
    },
    { stack: [['main', 'a.go', 2]], values: [4] },
  ],
}

test('equal profiles have equal words, also where a larger one was written before', () => {
  const words = new Words()
  const samples: ProfileSpec['samples'] = Array.from({ length: 500 }, (_, i) => ({
    stack: [[`f${i}`, 'b.go', i]],
    values: [i],
  }))
  contentOf(decodeProfile({ ...SPEC, samples }), words)
  assert.equal(contentOf(decodeProfile(SPEC), words), contentOf(decodeProfile(SPEC)))
})

test('each column is among the words', () => {
  const own = contentOf(decodeProfile(SPEC))
  const [first, second] = SPEC.samples
  const changes: Partial<ProfileSpec>[] = [
    { types: [['cpu', 'seconds']] },
    { timeNanos: 6n },
    { durationNanos: 6n },
    { samples: [second!, first!] },
    { samples: [first!] },
    { samples: [{ ...first!, values: [9] }, second!] },
    { samples: [{ ...first!, stack: [['leaf', 'a.go', 1]] }, second!] },
    {
      samples: [
        {
          ...first!,
          stack: [
            ['leaf', 'a.go', 7],
            ['main', 'a.go', 2],
          ],
        },
        second!,
      ],
    },
  ]
  const others = changes.map((change) => contentOf(decodeProfile({ ...SPEC, ...change })))
  assert.equal(new Set([own, ...others]).size, changes.length + 1)
})
