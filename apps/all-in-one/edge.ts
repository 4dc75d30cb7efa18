/**
 * One listener for the edge apps and what operators use: a path that the operator's app or the distributor serves goes
 * there, everything else to the query-frontend.
 *
 * It listens from the first moment, so that a taken port is known before a database is made, and agents that push
 * meanwhile are told to come back (503) instead of finding nobody. The apps are not merged into one: a `*` middleware of
 * one would then run for the routes of the other.
 */
import { Hono } from 'hono'
import type { Fetch } from '#platform/http/metrics.ts'
import { mountReady } from '#platform/http/ready.ts'

export interface EdgeApps {
  readonly distributor: Hono
  readonly queryFrontend: Hono
  /** Pages, metrics and services of our own (`cinder.v1`) for people and for `cinder`. */
  readonly operator?: Hono
  /** Put around all answers; the apps name the routes. */
  readonly time?: (serve: Fetch, apps: readonly Hono[]) => Fetch
}

export interface Edge {
  readonly app: Hono
  /** From now on requests are served. */
  open(apps: EdgeApps): void
}

export function createEdge(): Edge {
  const app = new Hono()
  let serve: Fetch | undefined
  mountReady(app, () => (serve === undefined ? 'starting' : undefined))
  app.all('*', (context) => serve?.(context.req.raw) ?? notYet())
  return {
    app,
    open({ distributor, queryFrontend, operator, time }) {
      const isPush = matchRoutes(distributor)
      const isOperator = operator === undefined ? () => false : matchRoutes(operator)
      const route: Fetch = (request) => {
        const path = new URL(request.url).pathname
        if (operator !== undefined && isOperator(path)) return operator.fetch(request)
        return (isPush(path) ? distributor : queryFrontend).fetch(request)
      }
      serve = time?.(route, [distributor, queryFrontend, ...(operator === undefined ? [] : [operator])]) ?? route
    },
  }
}

function notYet(): Response {
  const body = { code: 'unavailable', message: 'the server is starting: try again in a second' }
  return Response.json(body, { status: 503, headers: { 'Retry-After': '1' } })
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
