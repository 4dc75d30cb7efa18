/**
 * Which shard takes a profile in. Of a service all heads, and profiles that are counted for being equal, meet in one shard:
 * so it follows from tenant and service. Rules of a tenant that may give profiles another service are known to have done so
 * only once a profile is decoded, so that a tenant with such rules has one shard for all of it.
 */
import { parsePolicy } from '#core/ingest/policy.ts'
import { mayRenameService } from '#core/ingest/relabel.ts'
import { getLabel, LABEL_SERVICE_NAME, type LabelPair } from '#core/labels/labels.ts'
import { withServiceName } from '#core/pprof/service-name.ts'
import { hashBytes } from '#core/wire/hash.ts'

/** As many as a shard keeps compiled. */
const POLICIES_MAX = 256

const encoder = new TextEncoder()

export class ShardRoute {
  readonly #shards: number
  /** By the policy's text: whether it may rename services. */
  readonly #renames = new Map<string, boolean>()

  constructor(shards: number) {
    this.#shards = shards
  }

  /** `policy`: as the shard gets it, read once a request. */
  shardOf(tenant: string, labels: readonly LabelPair[], policy: string | undefined): number {
    if (this.#shards === 1) return 0
    const key = this.#mayRename(policy) ? [tenant] : [tenant, getLabel(withServiceName(labels), LABEL_SERVICE_NAME)]
    const bytes = encoder.encode(JSON.stringify(key))
    return hashBytes(bytes, 0, bytes.length) % this.#shards
  }

  #mayRename(policy: string | undefined): boolean {
    if (policy === undefined) return false
    let known = this.#renames.get(policy)
    if (known === undefined) {
      known = mayRenameService(parsePolicy(JSON.parse(policy)).relabelRules)
      if (this.#renames.size >= POLICIES_MAX) this.#renames.clear()
      this.#renames.set(policy, known)
    }
    return known
  }
}
