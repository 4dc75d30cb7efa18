/**
 * What stderr shows while a query takes longer than a second: for how long, and how much it reads, which the server tells
 * from the plan alone. A short query asks nothing more and shows nothing; a server that cannot tell is not an error.
 */
import * as v from 'valibot'
import { MS_PER_SECOND } from '#core/units.ts'
import { formatBytes, formatCount } from './quantity.ts'
import type { QueryTarget } from './query-target.ts'
import type { Server } from './server.ts'
import type { Shell } from './shell.ts'

const TICK_MS = MS_PER_SECOND

const countSchema = v.optional(v.union([v.string(), v.number()]), 0)
const analysisSchema = v.object({
  queryScopes: v.optional(v.array(v.object({ blockCount: countSchema })), []),
  queryImpact: v.optional(v.object({ totalBytesInTimeRange: countSchema }), {}),
})

export async function withProgress<T>(
  shell: Shell,
  of: { readonly server: Server; readonly target: QueryTarget },
  run: () => Promise<T>,
): Promise<T> {
  const startMs = shell.nowMs()
  let extent: Promise<void> | undefined
  let reading = 'waiting'
  const stop = shell.every?.(TICK_MS, () => {
    extent ??= askExtent(of).then((text) => void (reading = text ?? reading))
    shell.progress(`${reading}, ${Math.round((shell.nowMs() - startMs) / MS_PER_SECOND)} s`)
  })
  try {
    return await run()
  } finally {
    stop?.()
    shell.progress('')
  }
}

async function askExtent({ server, target }: { server: Server; target: QueryTarget }): Promise<string | undefined> {
  const { profileType, selector, startMs, endMs } = target
  try {
    const query = `${profileType}${selector}`
    const asked = { start: String(startMs), end: String(endMs), query }
    const parsed = v.parse(analysisSchema, await server.ask('querier.v1.QuerierService/AnalyzeQuery', asked))
    const blocks = parsed.queryScopes.reduce((sum, { blockCount }) => sum + Number(blockCount), 0)
    if (blocks === 0) return undefined
    const bytes = Number(parsed.queryImpact.totalBytesInTimeRange ?? 0)
    return `reading up to ${formatBytes(bytes)} in ${formatCount(blocks)} blocks`
  } catch {
    return undefined
  }
}
