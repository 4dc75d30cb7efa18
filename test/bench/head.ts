/**
 * The writer's work on a push between network and flush: inflate, decode, split, append; into a head whose symbols are all
 * new, as the first of a service is, and into one whose dictionary is warm, as every later one is.
 */
import { assert } from '#core/assert.ts'
import { ProfileDecoder } from '#core/pprof/decode.ts'
import { splitProfile } from '#core/pprof/split.ts'
import { Dictionary } from '#core/segment/dictionary.ts'
import { RowScratch } from '#core/segment/rows.ts'
import { tablesDigestOf } from '#core/segment/tables-digest.ts'
import { createCodec } from '#platform/codec.ts'
import { createDigest } from '#platform/digest.ts'
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
    const digest = createDigest()
    const warm = new Dictionary()
    const scratch = new RowScratch()
    const fill = (count: number, { inflate = true, dictionary = new Dictionary() } = {}) => {
      const head = newHead(dictionary, scratch)
      for (const [i, { raw, gzip }] of profiles.slice(0, count).entries()) {
        const result = decoder.decode(inflate ? codec.gunzip(gzip, BYTES_MAX) : raw, NO_LIMITS)
        assert(result.ok, 'a synthetic profile decodes')
        const { profile } = result
        const split = splitProfile(profile, labels[i]!, { maxSessionsPerSeries: 0 })
        const timeNanos = profile.timeNanos + BigInt(i)
        const tablesDigest = tablesDigestOf(profile, digest)
        head.append({ profile, split, profileId: ids[i]!, timeNanos, stackDepthMax: 0, tablesDigest })
      }
      return head
    }
    const finished = (count: number, dictionary?: Dictionary) =>
      fill(count, dictionary === undefined ? {} : { dictionary }).finish().dataset
    const rows = rowsOf(finished(PROFILES))
    assert(rowsOf(finished(PROFILES, warm)) === rows, 'a warm dictionary changes nothing')
    const times = measure({
      gunzip: () => profiles.reduce((sum, { gzip }) => sum + codec.gunzip(gzip, BYTES_MAX).length, 0),
      append: () => fill(PROFILES, { inflate: false }).profileCount,
      all: () => finished(PROFILES).headers.count,
      warm: () => finished(PROFILES, warm).headers.count,
      oneNew: () => finished(1).headers.count,
      oneWarm: () => finished(1, warm).headers.count,
    })
    const seconds = (name: string): number => times.perCallMs(name) / 1e3
    return [
      { what: 'inflate, decode, append, finish', value: PROFILES / seconds('all'), unit: 'profiles/s' },
      { what: 'the same, symbols known', value: PROFILES / seconds('warm'), unit: 'profiles/s' },
      { what: 'symbols known / new', value: times.speedup('warm', 'all'), unit: 'x' },
      { what: 'one profile a segment, symbols known / new', value: times.speedup('oneWarm', 'oneNew'), unit: 'x' },
      { what: 'decode and append', value: PROFILES / seconds('append'), unit: 'profiles/s' },
      { what: 'decode and append', value: rows / 1e3 / seconds('append'), unit: 'ksamples/s' },
      { what: 'inflate alone', value: PROFILES / seconds('gunzip'), unit: 'profiles/s' },
      { what: 'decode and append / inflate', value: times.speedup('append', 'gunzip'), unit: 'x' },
    ]
  },
}
