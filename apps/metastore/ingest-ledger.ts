/**
 * The ledger of pushes over Postgres: batches of counts come in, explanations and usage go out. What is older than it is
 * kept for goes by the duty.
 */
import { invalidArgument } from '#core/errors.ts'
import type { IngestLedger, LedgerRow } from '#core/rpc/ingest-ledger.ts'
import { MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE } from '#core/units.ts'
import type { Sql } from '#db/client.ts'
import { withConflictRetries, withSqlErrors } from '#db/errors.ts'
import { forgetPushes, recordPushes, selectLedger } from '#db/sql/ingest-ledger.ts'
import { selectStored, selectUsage } from '#db/sql/tenant-usage.ts'
import type { Registry } from '#platform/metrics/registry.ts'
import type { Duty } from './duties.ts'

/** Writers send a tenth of it at once. */
const BATCH_ROWS_MAX = 20_000
const ANSWER_ROWS_MAX = 50_000
/** Shown is an hour; the second is for who looks late. */
const MINUTES_AGE_MS = 2 * MS_PER_HOUR
/** Longer than any process tries one batch. */
const SOURCES_AGE_MS = 7 * MS_PER_DAY
/** A year to compare with. */
const USAGE_AGE_MS = 400 * MS_PER_DAY
/** 5,000 rows go in about 30 ms. */
const FORGET_ROWS = 5_000
const FORGET_BATCHES_MAX = 100
/** The largest have a gauge of their own. */
const TENANTS_SHOWN_MAX = 200
/** The sum reads every live dataset: not at every scrape. */
const STORED_AGE_MS = 5 * MS_PER_MINUTE

export interface LedgerService {
  readonly service: IngestLedger
  readonly duties: readonly Duty[]
}

export function createIngestLedger({ sql }: { readonly sql: Sql }): LedgerService {
  return {
    service: {
      async recordPushes(request) {
        checkRows(request.rows)
        // Sums are changed under their locks and the batch has a number, so that it may be tried again.
        const record = () => withConflictRetries(() => recordPushes(sql, request))
        return { recorded: await withSqlErrors('record pushes', record) }
      },
      async explainPushes(request) {
        const rowsMax = Math.min(request.rowsMax, ANSWER_ROWS_MAX)
        return { rows: await withSqlErrors('explain pushes', () => selectLedger(sql, { ...request, rowsMax })) }
      },
      async tenantUsage(request) {
        const { tenant } = request
        return await withSqlErrors('tenant usage', async () => {
          const days = await selectUsage(sql, request)
          const [stored] = await selectStored(sql, { tenant, tenantsMax: 1 })
          return { days, storedBytes: stored?.bytes ?? 0, storedProfiles: stored?.profiles ?? 0 }
        })
      },
    },
    duties: [{ name: 'ingest ledger', intervalMs: MS_PER_MINUTE, run: (_, signal) => forget(sql, signal) }],
  }
}

/** Idempotent, and it skips rows that others hold: it needs no term. */
async function forget(sql: Sql, signal: AbortSignal): Promise<void> {
  const ages = {
    minutesMs: MINUTES_AGE_MS,
    sourcesMs: SOURCES_AGE_MS,
    usageMs: USAGE_AGE_MS,
    batchRows: FORGET_ROWS,
  }
  for (let batch = 0; batch < FORGET_BATCHES_MAX && !signal.aborted; batch++) {
    const gone = await withSqlErrors('forget pushes', () => forgetPushes(sql, ages))
    if (gone < FORGET_ROWS) return
  }
}

function checkRows(rows: readonly LedgerRow[]): void {
  if (rows.length > BATCH_ROWS_MAX)
    throw invalidArgument(`a batch of the ledger has ${rows.length} rows, ${BATCH_ROWS_MAX} are allowed`)
  for (const row of rows) {
    for (const name of ['minuteMs', 'profiles', 'bytes', 'decompressedBytes'] as const) {
      if (!Number.isSafeInteger(row[name]) || row[name] < 0)
        throw invalidArgument(`${name} of a row of the ledger is ${row[name]}; allowed: a whole number from 0`)
    }
  }
}

/** What each tenant has stored, the largest ones by name. */
export function addStoredMetrics(registry: Registry, { sql, clock }: StoredMetricsDeps): void {
  const labels = { tenant: TENANTS_SHOWN_MAX }
  const bytes = registry.gauge('cinder_tenant_stored_bytes', 'Bytes of live datasets, of the largest tenants.', labels)
  const profiles = registry.gauge(
    'cinder_tenant_stored_profiles',
    'Profiles in live datasets, of the largest tenants.',
    labels,
  )
  let readAtMs = Number.NEGATIVE_INFINITY
  registry.collect(async () => {
    const nowMs = clock.nowMs()
    if (Math.abs(nowMs - readAtMs) < STORED_AGE_MS) return
    readAtMs = nowMs
    const stored = await selectStored(sql, { tenantsMax: TENANTS_SHOWN_MAX })
    bytes.clear()
    profiles.clear()
    for (const each of stored) {
      bytes.set(each.bytes, each.tenant)
      profiles.set(each.profiles, each.tenant)
    }
  })
}

interface StoredMetricsDeps {
  readonly sql: Sql
  readonly clock: { nowMs(): number }
}
