/**
 * Label sets from blocks: reads the heads that a plan names, and nothing else of them.
 *
 * Heads of an object are one coalesced read; a few objects are read ahead of the one that is being looked at. As for
 * samples, an object that is missing or damaged is an error: the frontend plans again.
 */
import { coalesceRanges } from '#core/block/coalesce.ts'
import { objectKey } from '#core/block/object-key.ts'
import { FetchedRanges, openDataset } from '#core/block/read.ts'
import { compileMatchers } from '#core/labels/matcher.ts'
import { LabelReport } from '#core/query/label-report.ts'
import type { LabelReportRequest, LabelReportResponse } from '#core/rpc/label-report.ts'
import type { SourceObject } from '#core/rpc/metastore.ts'
import type { ReadStats } from '#core/rpc/query-backend.ts'
import type { QueryBackendDeps } from './app.ts'
import { type CallEnd, throwIfGone } from './read-objects.ts'

/** Hides the latency of a remote store; the heads of eight objects are a few MiB. */
const OBJECTS_AHEAD = 8

/** A `LabelReporter` that looks at its caller's flag only, so that a thread may give one that is no signal. */
export interface LocalLabelReporter {
  labels(request: LabelReportRequest, signal?: CallEnd): Promise<LabelReportResponse>
}

export function createLabelReporter({ store, codec, regex }: QueryBackendDeps): LocalLabelReporter {
  async function readHeads(
    { objectId, datasets }: SourceObject,
    stats: ReadStats,
    signal: CallEnd | undefined,
  ): Promise<FetchedRanges> {
    const wanted = datasets.map(({ descriptor: { offset, headBytes } }) => ({ offset, lengthBytes: headBytes }))
    const ranges = coalesceRanges(wanted)
    const key = objectKey(objectId)
    const parts = ranges.map(async ({ offset, lengthBytes }) => ({
      offset,
      bytes: await store.getRange(key, offset, lengthBytes, signal instanceof AbortSignal ? { signal } : {}),
    }))
    stats.objects++
    stats.ranges += ranges.length
    stats.datasets += datasets.length
    for (const { lengthBytes } of ranges) stats.bytes += lengthBytes
    return new FetchedRanges(await Promise.all(parts))
  }
  return {
    async labels({ objects, startMs, endMs, matchers, ...wish }, signal) {
      const report = new LabelReport(wish)
      const matches = compileMatchers(matchers, regex)
      const stats: ReadStats = { objects: 0, ranges: 0, bytes: 0, datasets: 0, profiles: 0, samples: 0 }
      const ahead: Promise<FetchedRanges>[] = []
      let next = 0
      for (const object of objects) {
        while (next < objects.length && ahead.length < OBJECTS_AHEAD) {
          const read = readHeads(objects[next++]!, stats, signal)
          // Its error is thrown when its turn comes; until then it must not count as unhandled.
          read.catch(() => undefined)
          ahead.push(read)
        }
        const fetched = await ahead.shift()!
        throwIfGone(signal)
        for (const { descriptor, skip } of object.datasets) {
          const head = openDataset(fetched.view(descriptor.offset, descriptor.headBytes), descriptor, codec)
          report.addHead(head, { startMs, endMs, skip, matches })
        }
      }
      return { sets: report.build(), stats }
    },
  }
}
