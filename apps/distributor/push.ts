/**
 * `push.v1.PusherService/Push`: the envelope is decoded, the profiles inside it are not. One call to the writer takes
 * all series of the request, so that it can count equal profiles in their order.
 */
import { CinderError, invalidArgument } from '#core/errors.ts'
import type { WriteSeries } from '#core/rpc/segment-writer.ts'
import type { PushRequest } from '#platform/gen/push/v1/push_pb.ts'

/** Fails with `invalid_argument` if there is no profile at all. Series without profiles are left out. */
export function seriesOfPush(request: PushRequest): WriteSeries[] {
  const series: WriteSeries[] = []
  for (const { labels, samples } of request.series) {
    if (samples.length === 0) continue
    series.push({ labels, profiles: samples.map((sample) => ({ bytes: sample.rawProfile, clientId: sample.ID })) })
  }
  if (series.length === 0) throw invalidArgument('no profiles received', 'no_profiles')
  return series
}

/**
 * What takes a request to the writer and throws the error that its verdicts make. `signal`: the client waits no longer, and
 * its body may have been given back.
 */
export type WriteSeriesOf = (tenant: string, series: WriteSeries[], signal?: AbortSignal) => Promise<void>

export function singleTenant(tenants: readonly string[]): string {
  const [tenant] = tenants
  if (tenant === undefined) throw new CinderError('unauthenticated', 'no org id', { reason: 'tenant_id' })
  return tenant
}
