/** A query-backend whose answers are counted by what they cost, under the name that dashboards of the peers ask for. */
import type { SourceObject } from '#core/rpc/metastore.ts'
import type { QueryBackend, ReadStats } from '#core/rpc/query-backend.ts'
import { TENANTS_MAX } from './metered-pushes.ts'
import { DURATION_BUCKETS, type Registry } from './registry.ts'

const KINDS_MAX = 8

export function meterQueries(inner: QueryBackend, registry: Registry): QueryBackend {
  const fetched = registry.counter(
    'pyroscope_query_frontend_fetched_bytes_total',
    'Bytes that queries read from the store.',
    {
      tenant: TENANTS_MAX,
      kind: KINDS_MAX,
    },
  )
  const objects = registry.counter('cinder_query_objects_total', 'Objects that queries read.', { kind: KINDS_MAX })
  const ranges = registry.counter('cinder_query_ranges_total', 'Ranges that queries read.', { kind: KINDS_MAX })
  const duration = registry.histogram('cinder_query_backend_call_duration_seconds', 'Calls of a query-backend.', {
    buckets: DURATION_BUCKETS,
    labels: { kind: KINDS_MAX },
  })
  const meter = async <T extends { readonly stats: ReadStats }>(
    kind: string,
    sources: readonly SourceObject[],
    run: () => Promise<T>,
  ): Promise<T> => {
    const startedMs = performance.now()
    try {
      const answer = await run()
      fetched.add(answer.stats.bytes, tenantOf(sources), kind)
      objects.add(answer.stats.objects, kind)
      ranges.add(answer.stats.ranges, kind)
      return answer
    } finally {
      duration.observe((performance.now() - startedMs) / 1_000, kind)
    }
  }
  return {
    stacktraces: (...call) => meter('stacktraces', call[0].objects, () => inner.stacktraces(...call)),
    mergeProfile: (...call) => meter('merge_profile', call[0].objects, () => inner.mergeProfile(...call)),
    timeSeries: (...call) => meter('time_series', call[0].objects, () => inner.timeSeries(...call)),
    points: (...call) => meter('points', call[0].objects, () => inner.points(...call)),
  }
}

/** Of a query over several tenants the first: a split by dataset is not told. */
function tenantOf(sources: readonly SourceObject[]): string {
  return sources[0]?.datasets[0]?.descriptor.tenant ?? ''
}
