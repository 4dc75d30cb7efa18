/**
 * What became of pushes, and what a tenant used, as JSON for people and scripts:
 *
 *   GET /api/v1/ingest/explain             services of the last hour with their outcomes
 *   GET /api/v1/ingest/explain?service=x   the same of one, minute by minute, newest first
 *   GET /api/v1/usage?from=now-31d&until=now
 *
 * Counted by the writers, kept by the metastore: counts are a few seconds behind. A tenant sees its own.
 */
import type { Hono } from 'hono'
import { CinderError, invalidArgument } from '#core/errors.ts'
import { explainAll, type ExplainedPushes, explainMinutes, explainServices } from '#core/ingest/explain.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import { parseRenderTime } from '#core/query/render-time.ts'
import type { IngestLedger } from '#core/rpc/ingest-ledger.ts'
import { MS_PER_DAY, MS_PER_HOUR } from '#core/units.ts'
import { errorResponse, toCinderError } from '#platform/http/errors.ts'
import { singleTenantOf } from './request.ts'

export interface LedgerDeps {
  readonly clock: Pick<Clock, 'nowMs'>
  readonly log: Log
  /** Absent: this process cannot reach it. */
  readonly ledger?: IngestLedger | undefined
}

export interface LedgerSettings {
  /** Fails with `unauthenticated`. */
  readonly tenantsOf: (headers: Headers) => readonly string[]
}

const EXPLAINED_MS = MS_PER_HOUR
/** 60 minutes of some 300 services, 12 MB; of one service all that there is. */
const ROWS_MAX = 20_000
/** What is kept. */
const USAGE_DAYS_MAX = 400
const USAGE_DEFAULT_MS = 31 * MS_PER_DAY

type Ask = (ledger: IngestLedger, tenant: string, asked: Asked) => Promise<object>

interface Asked {
  readonly parameters: URLSearchParams
  readonly nowMs: number
}

export function mountLedgerPages(app: Hono, deps: LedgerDeps, { tenantsOf }: LedgerSettings): void {
  const mount = (path: string, ask: Ask) =>
    app.get(path, async ({ req }) => {
      try {
        const tenant = singleTenantOf(tenantsOf(req.raw.headers))
        const { ledger } = deps
        if (ledger === undefined)
          throw new CinderError('unimplemented', 'this server cannot reach the counts of pushes', {
            reason: 'no_ledger',
          })
        const parameters = new URL(req.url).searchParams
        return Response.json(await ask(ledger, tenant, { parameters, nowMs: Math.floor(deps.clock.nowMs()) }))
      } catch (error) {
        return errorResponse(toCinderError(error, deps.log, path))
      }
    })
  mount('/api/v1/ingest/explain', explain)
  mount('/api/v1/usage', usage)
}

async function explain(ledger: IngestLedger, tenant: string, { parameters, nowMs }: Asked): Promise<object> {
  const service = parameters.get('service') ?? undefined
  const sinceMs = nowMs - EXPLAINED_MS
  const { rows } = await ledger.explainPushes({ tenant, service, sinceMs, rowsMax: ROWS_MAX })
  const head = { tenant, from: instant(sinceMs), until: instant(nowMs), truncated: rows.length >= ROWS_MAX }
  const total = shown(explainAll(rows))
  if (service === undefined) {
    const services = explainServices(rows).map(({ lastMinuteMs, ...each }) => ({
      ...shown(each),
      lastMinute: instant(lastMinuteMs),
    }))
    return { ...head, total, services }
  }
  const minutes = explainMinutes(rows).map(({ minuteMs, ...each }) => ({ minute: instant(minuteMs), ...shown(each) }))
  return { ...head, service, total, minutes }
}

/** Of reasons the most frequent first. */
function shown<Pushes extends ExplainedPushes>(pushes: Pushes): Pushes {
  for (const reasons of [pushes.dropped, pushes.refused, pushes.repaired])
    reasons.sort((a, b) => b.profiles - a.profiles || (a.reason < b.reason ? -1 : 1))
  return pushes
}

async function usage(ledger: IngestLedger, tenant: string, { parameters, nowMs }: Asked): Promise<object> {
  const timeOf = (name: string, otherwiseMs: number) => {
    const text = parameters.get(name)
    return text === null || text === '' ? otherwiseMs : parseRenderTime(name, text, nowMs)
  }
  const untilMs = timeOf('until', nowMs)
  const fromMs = dayOf(timeOf('from', untilMs - USAGE_DEFAULT_MS))
  if (fromMs > untilMs) throw invalidArgument('from lies after until', 'bad_range')
  const daysMax = USAGE_DAYS_MAX * MS_PER_DAY
  if (untilMs - fromMs > daysMax)
    throw invalidArgument(`the range is longer than ${USAGE_DAYS_MAX} days, which is what is kept`, 'bad_range')
  const { days, storedBytes, storedProfiles } = await ledger.tenantUsage({
    tenant,
    fromMs,
    untilMs: dayOf(untilMs) + MS_PER_DAY,
  })
  const sum = (name: 'profiles' | 'bytesIn' | 'decompressedBytes') => days.reduce((total, day) => total + day[name], 0)
  return {
    tenant,
    from: instant(fromMs),
    until: instant(untilMs),
    received: {
      profiles: sum('profiles'),
      bytesIn: sum('bytesIn'),
      decompressedBytes: sum('decompressedBytes'),
    },
    stored: { profiles: storedProfiles, bytes: storedBytes },
    days: days.map(({ dayMs, profiles, bytesIn, decompressedBytes }) => ({
      day: instant(dayMs).slice(0, 10),
      profiles,
      bytesIn,
      decompressedBytes,
    })),
  }
}

function dayOf(timeMs: number): number {
  return Math.floor(timeMs / MS_PER_DAY) * MS_PER_DAY
}

function instant(timeMs: number): string {
  return new Date(timeMs).toISOString()
}
