/**
 * `GET /metrics`, and the duration of every request by route, method and status, under the name that dashboards of the
 * peers ask for.
 *
 * A route is a path that an app serves, as it was registered: what matches none is `other`, so that a scan of a server
 * cannot make a series for every path it tries.
 */
import type { Hono } from 'hono'
import { DURATION_BUCKETS, type Registry } from '../metrics/registry.ts'

/** Prometheus tells versions of the format apart by it. */
const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

export function mountMetrics(app: Hono, registry: Registry): void {
  app.get('/metrics', async () => new Response(await registry.render(), { headers: { 'Content-Type': CONTENT_TYPE } }))
}

/** Any word may come as a method: those that are none of these are one, or the first to come would take the places of all. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
/** Routes are tens an app; statuses are what HTTP has. */
const LABELS = { route: 100, method: METHODS.size + 1, status_code: 40 }

export type Fetch = (request: Request) => Response | Promise<Response>

/** Times what the apps answer. The apps must have all of their routes. */
export function timeRequests(serve: Fetch, registry: Registry, apps: readonly Hono[]): Fetch {
  const duration = registry.histogram(
    'pyroscope_request_duration_seconds',
    'Time (in seconds) spent serving HTTP requests.',
    {
      buckets: DURATION_BUCKETS,
      labels: LABELS,
    },
  )
  const routes = apps.flatMap((app) => app.routes.map(({ path }) => path))
  const exact = new Set(routes.filter((path) => !/[*:]/.test(path)))
  const prefixes = [...new Set(routes.filter((path) => path.search(/[*:]/) > 1))].map((path) => ({
    path,
    start: path.slice(0, path.search(/[*:]/)),
  }))
  const routeOf = (url: string) => {
    const { pathname } = new URL(url)
    if (exact.has(pathname)) return pathname
    return prefixes.find(({ start }) => pathname.startsWith(start))?.path ?? 'other'
  }
  return async (request) => {
    const startedMs = performance.now()
    let status = 500
    try {
      const response = await serve(request)
      status = response.status
      return response
    } finally {
      const seconds = (performance.now() - startedMs) / 1_000
      const method = METHODS.has(request.method) ? request.method : 'other'
      duration.observe(seconds, routeOf(request.url), method, String(status))
    }
  }
}
