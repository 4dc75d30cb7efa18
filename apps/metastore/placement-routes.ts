/**
 * Placement for edges and for people: PlacementService by Connect, and `GET /api/v1/placement`, the table as JSON.
 *
 * The ETag is a hash of the bytes, equal at every replica, so an edge that has the table gets 304 whoever it asks. It must
 * ask: `no-cache` lets it keep the table, not trust it.
 */
import type { Context, Hono } from 'hono'
import type { PlacementService } from '#core/rpc/placement.ts'
import { mountPlacementService } from '#platform/connect/placement-service.ts'
import type { InternalServerOptions } from '#platform/connect/services.ts'
import { errorResponse, toCinderError } from '#platform/http/errors.ts'

export function mountPlacement(app: Hono, placement: PlacementService, options: InternalServerOptions): void {
  mountPlacementService(app, placement, options)
  app.get('/api/v1/placement', async (context) => {
    try {
      return await answerTable(context, placement)
    } catch (error) {
      return errorResponse(toCinderError(error, options.log, 'placement'))
    }
  })
}

async function answerTable(context: Context, placement: PlacementService): Promise<Response> {
  const known = knownTags(context.req.header('if-none-match'))
  const { etag, json } = await placement.getPlacement({ etag: known.length === 1 ? known[0]! : '' })
  const headers = {
    ETag: `"${etag}"`,
    'Cache-Control': 'private, no-cache',
    'X-Content-Type-Options': 'nosniff',
  }
  if (json === '' || known.includes(etag)) return new Response(null, { status: 304, headers })
  return new Response(json, { headers: { ...headers, 'Content-Type': 'application/json' } })
}

/** Of `If-None-Match`, which compares weakly: a proxy that compressed the table may have made its tag a weak one. */
export function knownTags(header: string | undefined): string[] {
  return [...(header ?? '').matchAll(/"([^"]{1,64})"/g)].map(([, tag]) => tag!)
}
