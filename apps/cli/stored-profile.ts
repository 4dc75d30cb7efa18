/**
 * Whether a server has a profile, by its id and time, asked as a query. It is asked of an answer that the server looked: one
 * whose tenant may not query that far back finds nothing without a look, and who believed it would store the profile twice.
 */
import { CinderError } from '#core/errors.ts'
import { objectOf } from './operator-json.ts'
import type { PreparedPush } from './push-request.ts'
import type { Server } from './server.ts'

/** In any type that it has: a type whose values are all zero has no samples. Fails where the server cannot tell. */
export async function isStored(server: Server, id: string, prepared: PreparedPush): Promise<boolean> {
  const ms = Number(prepared.timeNanos / 1_000_000n)
  const service = prepared.labels.find(({ name }) => name === 'service_name')!.value
  let hasLooked = true
  for (const type of prepared.sampleTypes) {
    const { answer, isWhole } = await server.look('querier.v1.QuerierService/SelectMergeStacktraces', {
      profileTypeID: `${prepared.name}:${type}:${prepared.periodType}`,
      labelSelector: `{service_name=${JSON.stringify(service)}}`,
      start: String(ms),
      end: String(ms + 1),
      profileIdSelector: [id],
    })
    const { total } = objectOf(objectOf(answer).flamegraph ?? {})
    if (total !== undefined && total !== '0') return true
    hasLooked &&= isWhole
  }
  if (hasLooked) return false
  throw new CinderError(
    'failed_precondition',
    'an earlier run sent it, and the server cannot tell whether it is stored: the tenant may not query that far back, or data ' +
      'is missing; set maxQueryLookback=0 for the tenant (cinder limits set) and run this again',
    { reason: 'cannot_tell' },
  )
}
