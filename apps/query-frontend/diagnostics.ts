/**
 * Reports of queries that somebody asked to explain, kept for a while: `GET /query-diagnostics` lists them, newest first, and
 * `GET /query-diagnostics/<id>` shows one.
 *
 * They lie in the memory of the process that answered, so they are for a look at once; the newest `REPORTS_MAX` stay. A
 * report is shown to the tenants that asked and to nobody else: to others it does not exist.
 */
import type { Hono } from 'hono'
import { CinderError } from '#core/errors.ts'
import type { Log } from '#core/ports/log.ts'
import type { QueryReport } from '#core/query/plan-report.ts'
import { ulidTimeMs } from '#core/wire/ulid.ts'
import { errorResponse, toCinderError } from '#platform/http/errors.ts'

/** A few KiB each. */
const REPORTS_MAX = 200

const LIST_PATH = '/query-diagnostics'

interface Kept {
  readonly tenants: string
  readonly report: QueryReport
}

export class Diagnostics {
  readonly #reports = new Map<string, Kept>()

  keep(tenants: readonly string[], report: QueryReport): void {
    this.#reports.set(report.id, { tenants: tenants.join('|'), report })
    for (const id of this.#reports.keys()) {
      if (this.#reports.size <= REPORTS_MAX) break
      this.#reports.delete(id)
    }
  }

  /** Newest first. */
  list(tenants: readonly string[]): QueryReport[] {
    const asking = tenants.join('|')
    return [...this.#reports.values()].flatMap((kept) => (kept.tenants === asking ? [kept.report] : [])).reverse()
  }

  find(tenants: readonly string[], id: string): QueryReport | undefined {
    const kept = this.#reports.get(id)
    return kept?.tenants === tenants.join('|') ? kept.report : undefined
  }
}

export function mountDiagnostics(
  app: Hono,
  diagnostics: Diagnostics,
  { log, tenantsOf }: { readonly log: Log; readonly tenantsOf: (headers: Headers) => readonly string[] },
): void {
  app.get(LIST_PATH, ({ req }) => {
    try {
      return Response.json({ reports: diagnostics.list(tenantsOf(req.raw.headers)).map(lineOf) })
    } catch (error) {
      return errorResponse(toCinderError(error, log, LIST_PATH))
    }
  })
  const path = `${LIST_PATH}/:id`
  app.get(path, (context) => {
    try {
      const report = diagnostics.find(tenantsOf(context.req.raw.headers), context.req.param('id'))
      if (report === undefined) {
        throw new CinderError(
          'not_found',
          `there is no report ${JSON.stringify(context.req.param('id'))} here (any more)`,
        )
      }
      return Response.json(report)
    } catch (error) {
      return errorResponse(toCinderError(error, log, path))
    }
  })
}

/** What tells one report from the others. */
function lineOf({ id, totalMs, runs, warnings }: QueryReport) {
  const askedAt = new Date(ulidTimeMs(id)).toISOString()
  const kinds = runs.map(({ kind }) => kind)
  return { id, path: `${LIST_PATH}/${id}`, askedAt, totalMs, kinds, warnings: warnings.length }
}
