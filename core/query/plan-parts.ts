/**
 * A plan from its parts: objects by id, their datasets by index, as a plan in one piece has them. Parts cut objects
 * anywhere.
 *
 * It is refused while it comes: what would be too much is neither held nor read to its end.
 */
import type { Metastore, PlanQueryResponse, SourceObject } from '../rpc/metastore.ts'
import { refusePlan } from './budget.ts'

export async function joinPlan(parts: AsyncIterable<PlanQueryResponse>, signal?: AbortSignal): Promise<SourceObject[]> {
  const byId = new Map<string, SourceObject>()
  const cut = new Set<SourceObject>()
  let datasets = 0
  for await (const { objects } of parts) {
    if (signal?.aborted === true) break
    for (const part of objects) {
      datasets += part.datasets.length
      const object = byId.get(part.objectId)
      if (object === undefined) {
        byId.set(part.objectId, part)
        continue
      }
      for (const dataset of part.datasets) object.datasets.push(dataset)
      cut.add(object)
    }
    const refused = refusePlan(datasets)
    if (refused !== undefined) throw refused
  }
  for (const object of cut) object.datasets.sort((a, b) => a.descriptor.index - b.descriptor.index)
  return [...byId.values()].sort((a, b) => (a.objectId < b.objectId ? -1 : 1))
}

/** Plans of a metastore in this process, which never has more of one in memory than may be planned. */
export function planningInParts<Service extends Metastore>(metastore: Service): Service {
  return {
    ...metastore,
    async planQuery(request, signal) {
      if (metastore.streamPlan === undefined) return await metastore.planQuery(request, signal)
      return { objects: await joinPlan(metastore.streamPlan(request), signal) }
    },
  }
}
