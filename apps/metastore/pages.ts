/**
 * `GET /status`, `/compactor/jobs`, `/compactor/ring` and `/distributor/ring`: one report, four views, three forms.
 *
 * A browser gets HTML, who asks for JSON (Accept, or `?format=json`) the report, and `curl` a text of tables. The ring's
 * JSON begins with what tools of other compactors read: `shards` and `now`.
 *
 * Pages of the peers that there is no such thing of here (rings, members, nodes of a metastore) lead to the page that has
 * what people looked for there.
 */
import type { Context, Hono } from 'hono'
import type { StatusReport, StatusService, WorkerStatus } from '#core/rpc/status.ts'
import type { StatusView } from '#core/status/tables.ts'
import { renderStatusText } from '#core/status/text.ts'
import { REFRESH_SECONDS_DEFAULT, renderStatusPage } from '#platform/http/status-page.ts'

type Form = 'html' | 'json' | 'text'

const VIEW_BY_PATH: Readonly<Record<string, StatusView>> = {
  '/status': 'status',
  '/compactor/jobs': 'jobs',
  '/compactor/ring': 'ring',
  '/distributor/ring': 'writers',
}

const PAGE_INSTEAD: Readonly<Record<string, string>> = {
  '/admin': '/status',
  '/memberlist': '/status',
  '/metastore-nodes': '/status',
  '/ring': '/distributor/ring',
}

/** An hour: who wants to look less often opens the page anew. */
const REFRESH_SECONDS_MAX = 3_600

export function mountPages(app: Hono, status: StatusService): void {
  for (const [path, view] of Object.entries(VIEW_BY_PATH)) {
    app.get(path, async (context) => answer(context, await status.getStatus(), view))
  }
  for (const [path, instead] of Object.entries(PAGE_INSTEAD)) app.get(path, (context) => context.redirect(instead))
}

function answer(context: Context, report: StatusReport, view: StatusView): Response {
  switch (formOf(context.req.query('format'), context.req.header('accept'))) {
    case 'json':
      return respond(`${JSON.stringify(jsonOf(report, view), undefined, 2)}\n`, 'application/json')
    case 'text':
      return respond(`${renderStatusText(report, view)}\n`, 'text/plain; charset=utf-8')
    case 'html': {
      const refreshSeconds = refreshOf(context.req.query('refresh'))
      return respond(renderStatusPage(report, { view, refreshSeconds }), 'text/html; charset=utf-8')
    }
  }
}

/** What is asked for by name, else the first of the three that the client accepts, else text. */
export function formOf(format: string | undefined, accept: string | undefined): Form {
  if (format === 'json' || format === 'html' || format === 'text') return format
  for (const range of (accept ?? '').split(',')) {
    const type = range.split(';')[0]!.trim().toLowerCase()
    if (type === 'application/json') return 'json'
    if (type === 'text/html' || type === 'application/xhtml+xml') return 'html'
    if (type === 'text/plain') return 'text'
  }
  return 'text'
}

function refreshOf(text: string | undefined): number {
  return text !== undefined && /^\d{1,4}$/.test(text)
    ? Math.min(REFRESH_SECONDS_MAX, Number(text))
    : REFRESH_SECONDS_DEFAULT
}

function jsonOf(report: StatusReport, view: StatusView): object {
  const { nowMs, concerns, failed, backlog, running, runningTotal, parked, parkedTotal } = report
  if (view === 'status') return report
  if (view === 'jobs') return { nowMs, concerns, failed, backlog, running, runningTotal, parked, parkedTotal }
  if (view === 'writers') return { nowMs, concerns, failed, writers: report.writers, placement: report.placement }
  const { workers, writers, leases } = report
  return { shards: workers.map(shardOf), now: instant(nowMs), nowMs, concerns, failed, workers, writers, leases }
}

/** Tokens are those of a hash ring, which is not how work is shared here. */
function shardOf({ workerId, isAlive, address, lastSeenMs, registeredMs }: WorkerStatus): object {
  return {
    id: workerId,
    state: isAlive ? 'ACTIVE' : 'UNHEALTHY',
    address,
    timestamp: instant(lastSeenMs),
    registered_timestamp: instant(registeredMs),
    zone: '',
    tokens: [],
  }
}

function instant(timeMs: number): string {
  return new Date(timeMs).toISOString()
}

function respond(body: string, contentType: string): Response {
  return new Response(body, {
    headers: {
      'Content-Type': contentType,
      'Cache-Control': 'no-store',
      // Names on this page are not ours: nothing may run, load, be framed or be posted.
      'Content-Security-Policy':
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      'Referrer-Policy': 'no-referrer',
      'X-Content-Type-Options': 'nosniff',
      Vary: 'Accept',
    },
  })
}
