/**
 * A query-backend that hands every dataset of a call to another of several, and merges what they answer: a query over
 * it has as many partial answers as datasets, merged twice. One of another kind may answer while it does not.
 */
import { encodeTree, FunctionTree } from '#core/flamegraph/tree.ts'
import { PointRows } from '#core/query/point-rows.ts'
import { StackProfile } from '#core/query/stack-profile.ts'
import { mergeTimeSeries } from '#core/query/time-series.ts'
import type { SourceObject } from '#core/rpc/metastore.ts'
import type { QueryBackend, ReadStats } from '#core/rpc/query-backend.ts'

const NO_STATS: ReadStats = { objects: 0, ranges: 0, bytes: 0, datasets: 0, profiles: 0, samples: 0 }

export function spreadOver(backend: QueryBackend, whole: QueryBackend, isSpread: () => boolean): QueryBackend {
  async function each<Request extends { objects: SourceObject[] }, Answer>(
    request: Request,
    ask: (part: Request) => Promise<Answer>,
  ): Promise<Answer[]> {
    const parts = request.objects.flatMap((object) => object.datasets.map((one) => ({ ...object, datasets: [one] })))
    // Last first: no order of partial answers may matter. None of them is the only one.
    return Promise.all(parts.toReversed().map((object) => ask({ ...request, objects: [object], end: undefined })))
  }
  return {
    ...backend,
    async stacktraces(request, signal) {
      if (!isSpread()) return whole.stacktraces(request, signal)
      const answers = await each(request, (part) => backend.stacktraces(part, signal))
      const tree = new FunctionTree()
      for (const answer of answers) tree.mergeEncoded(answer.tree)
      return { tree: encodeTree(tree), stats: NO_STATS, selected: request.selector !== undefined, filtered: true }
    },
    async mergeProfile(request, signal) {
      if (!isSpread()) return whole.mergeProfile(request, signal)
      const answers = await each(request, (part) => backend.mergeProfile(part, signal))
      const profile = new StackProfile()
      for (const { stacks } of answers) profile.mergeEncoded(stacks)
      return { stacks: profile.encode(), stats: NO_STATS, filtered: true }
    },
    async timeSeries(request, signal) {
      if (!isSpread()) return whole.timeSeries(request, signal)
      const answers = await each(request, (part) => backend.timeSeries({ ...part, asPart: false }, signal))
      const selected = answers.every((answer) => answer.selected === true)
      return { series: mergeTimeSeries(answers.map(({ series }) => series)), stats: NO_STATS, selected, filtered: true }
    },
    async points(request, signal) {
      if (!isSpread()) return whole.points(request, signal)
      const answers = await each(request, (part) => backend.points({ ...part, asPart: false }, signal))
      const rows = new PointRows({ best: request.best, exemplars: request.exemplars })
      for (const { series } of answers) rows.merge(series)
      return { series: rows.build(), stats: NO_STATS, filtered: true }
    },
  }
}
