/** The writer's work on a push between network and flush: inflate, decode, split, append. */
import { assert } from '#core/assert.ts'
import { ProfileDecoder } from '#core/pprof/decode.ts'
import { splitProfile } from '#core/pprof/split.ts'
import { createCodec } from '#platform/codec.ts'
import { NO_LIMITS, syntheticCorpus } from './corpus.ts'
import type { BenchCase } from './figure.ts'
import { measure } from './measure.ts'
import { idOf, labelsOfSeries, newHead, rowsOf } from './segments.ts'

/** As many as a busy writer puts into one head of one service in a flush. */
const PROFILES = 40
const BYTES_MAX = 1 << 26

export const headCase: BenchCase = {
  name: 'head',
  about: `${PROFILES} profiles into a head, against inflating them`,
  run() {
    const codec = createCodec()
    const { profiles } = syntheticCorpus(PROFILES)
    const labels = profiles.map((_, i) => labelsOfSeries(i % 6))
    const ids = profiles.map((_, i) => idOf(i))
    const decoder = new ProfileDecoder()
    const fill = (inflate: boolean) => {
      const head = newHead()
      profiles.forEach(({ raw, gzip }, i) => {
        const result = decoder.decode(inflate ? codec.gunzip(gzip, BYTES_MAX) : raw, NO_LIMITS)
        assert(result.ok, 'a synthetic profile decodes')
        const { profile } = result
        const split = splitProfile(profile, labels[i]!, { maxSessionsPerSeries: 0 })
        head.append({ profile, split, profileId: ids[i]!, timeNanos: profile.timeNanos + BigInt(i), stackDepthMax: 0 })
      })
      return head
    }
    const rows = rowsOf(fill(true).finish().dataset)
    const times = measure({
      gunzip: () => profiles.reduce((sum, { gzip }) => sum + codec.gunzip(gzip, BYTES_MAX).length, 0),
      append: () => fill(false).profileCount,
      all: () => fill(true).finish().dataset.headers.count,
    })
    const seconds = (name: string): number => times.perCallMs(name) / 1e3
    return [
      { what: 'inflate, decode, append, finish', value: PROFILES / seconds('all'), unit: 'profiles/s' },
      { what: 'decode and append', value: PROFILES / seconds('append'), unit: 'profiles/s' },
      { what: 'decode and append', value: rows / 1e3 / seconds('append'), unit: 'ksamples/s' },
      { what: 'inflate alone', value: PROFILES / seconds('gunzip'), unit: 'profiles/s' },
      { what: 'decode and append / inflate', value: times.speedup('append', 'gunzip'), unit: 'x' },
    ]
  },
}
