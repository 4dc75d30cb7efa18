/**
 * Label sets where there are more than the metastore lists: from the heads of the blocks that hold the range.
 *
 * 1. The metastore is asked first; it answers up to 100,000 sets without an object being read.
 * 2. If it refuses because there are more, the range is planned like a query, with its budget, its turn and its warnings,
 *    and the query-backends report the sets of their objects, already filtered and reduced.
 * Both answer for whole data hours, so that an answer does not depend on who gave it.
 */
import { CinderError } from '#core/errors.ts'
import { LABEL_SERVICE_NAME, LABEL_TENANT_ID } from '#core/labels/labels.ts'
import { equalityOf, type UncheckedMatcher } from '#core/labels/matcher.ts'
import { LabelReport } from '#core/query/label-report.ts'
import { rankOwners } from '#core/query/plan-owners.ts'
import type { LabelReporter } from '#core/rpc/label-report.ts'
import type { LabelSetsRequest, LabelSetsResponse, Metastore } from '#core/rpc/metastore.ts'
import { floorTo, MS_PER_HOUR } from '#core/units.ts'
import { type QuerySources, runQuery } from './execute.ts'
import type { RequestContext } from './request.ts'

export interface LabelSource {
  /** Sets that do not satisfy the matchers may be left out: who asks filters again. */
  labelSets(request: LabelSetsRequest, matchers?: readonly UncheckedMatcher[]): Promise<LabelSetsResponse>
}

export interface BlockLabelSources extends QuerySources {
  readonly metastore: Pick<Metastore, 'planQuery' | 'labelSets'>
  /** Absent: what the metastore does not list is refused. */
  readonly labels?: LabelReporter | undefined
}

/** Merged in about 2 ms: a report of 250,000 leaves others their turns. */
const SETS_AT_ONCE = 2_000

/** As the metastore says it. */
const TOO_MANY = 'label_sets_limit'

export function labelSource(
  sources: BlockLabelSources,
  { context, call }: { readonly context: RequestContext; readonly call: { readonly signal: AbortSignal } },
): LabelSource {
  const { metastore, labels } = sources
  return {
    async labelSets(request, matchers = []) {
      try {
        return await metastore.labelSets(request)
      } catch (error) {
        const isTooMany = error instanceof CinderError && error.reason === TOO_MANY
        if (!isTooMany || labels === undefined) throw error
      }
      // Whose a set is is added afterwards, by who asks for each tenant alone.
      const known = matchers.filter(({ name }) => name !== LABEL_TENANT_ID)
      const service = equalityOf(known, LABEL_SERVICE_NAME)
      const { tenants, names, namesOnly } = request
      const startMs = floorTo(request.startMs, MS_PER_HOUR)
      const endMs = floorTo(request.endMs, MS_PER_HOUR) + MS_PER_HOUR - 1
      const wish = { startMs, endMs, names, namesOnly, matchers: known.map((matcher) => ({ ...matcher })) }
      let merged = new LabelReport({ names, namesOnly })
      const report = await runQuery(
        sources,
        {
          kind: 'labels',
          reads: 'heads',
          plan: { tenants, startMs, endMs, services: service === undefined ? [] : [service] },
          begin: () => (merged = new LabelReport({ names, namesOnly })),
          async read(objects, ended) {
            // Of this attempt: another one begins anew.
            const into = merged
            const { sets, stats } = await labels.labels({ ...wish, objects }, ended)
            for (let at = 0; at < sets.length; at += SETS_AT_ONCE) {
              if (at > 0) await sources.clock.sleep(0, ended)
              into.merge(sets.slice(at, at + SETS_AT_ONCE))
            }
            return stats
          },
          // Sets are merged as they come, in any order.
          merge: () => undefined,
          statsOf: (stats) => [stats],
        },
        { context, signal: call.signal },
      )
      return { sets: report.build() }
    },
  }
}

/** How many backends are asked before a report has failed. */
const ATTEMPTS_MAX = 3

/** Each report goes to the backend that owns its first object, and to the next ones while none answers. */
export function overBackends(
  backends: readonly { readonly name: string; readonly labels: LabelReporter }[],
): LabelReporter {
  const all = backends.map(({ name }) => name)
  return {
    async labels(request, signal) {
      const ranked = rankOwners(request.objects[0]?.objectId ?? '', all).slice(0, ATTEMPTS_MAX)
      for (const [attempt, owner] of ranked.entries()) {
        try {
          return await backends[owner]!.labels.labels(request, signal)
        } catch (error) {
          const isTried = attempt + 1 === ranked.length || signal?.aborted === true
          if (isTried || !(error instanceof CinderError) || error.kind !== 'unavailable') throw error
        }
      }
      throw new CinderError('unavailable', 'no query-backend is configured', { reason: 'no_backend' })
    },
  }
}
