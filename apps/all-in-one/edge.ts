/**
 * One listener for both edge apps: a path that the distributor serves goes there, everything else to the query-frontend.
 *
 * The apps are not merged into one: a `*` middleware of one would then run for the routes of the other.
 */
import { Hono } from 'hono'
import { mountReady, type Readiness } from '#platform/http/ready.ts'

export interface EdgeApps {
  readonly distributor: Hono
  readonly queryFrontend: Hono
  readonly readiness: Readiness
}

export function createEdge(apps: EdgeApps): Hono {
  const edge = new Hono()
  mountReady(edge, apps.readiness)
  const isPush = matchRoutes(apps.distributor)
  edge.all('*', (context) => {
    const app = isPush(context.req.path) ? apps.distributor : apps.queryFrontend
    return app.fetch(context.req.raw)
  })
  return edge
}

/** Whether a path belongs to one of the app's routes; `/a/*` and `/a/:name` stand for all below `/a/`. */
function matchRoutes(app: Hono): (path: string) => boolean {
  const exact = new Set<string>()
  const prefixes = new Set<string>()
  for (const { path } of app.routes) {
    const open = path.search(/[*:]/)
    if (open === -1) exact.add(path)
    // A middleware for all paths claims none.
    else if (open > 1) prefixes.add(path.slice(0, open))
  }
  const starts = [...prefixes]
  return (path) => exact.has(path) || starts.some((start) => path.startsWith(start))
}
