/**
 * One pass of placement: reads what writers said, plans (core/placement/plan.ts), and writes if anything changed, fenced by
 * the duty's lease. Time is Postgres' own, because leases are.
 */
import {
  isBalanceDue,
  PLACEMENT_POLICY_DEFAULT,
  type PlacementInput,
  planPlacement,
  writersToKeep,
} from '#core/placement/plan.ts'
import { isWorthWriting } from '#core/placement/state-change.ts'
import { placementStateJson, readPlacementState } from '#core/placement/state-json.ts'
import {
  emptyPlacementTable,
  parsePlacementTable,
  placementJson,
  type PlacementTable,
  TABLE_MAX_SERVICES,
  TABLE_MAX_TENANTS,
  TABLE_MAX_WRITERS,
} from '#core/placement/table.ts'
import { FOLLOWED_LOAD } from '#core/placement/widths.ts'
import type { Log } from '#core/ports/log.ts'
import { MS_PER_MINUTE, MS_PER_SECOND } from '#core/units.ts'
import type { Sql } from '#db/client.ts'
import { withSqlErrors } from '#db/errors.ts'
import type { LeaseTerm } from '#db/sql/leases.ts'
import {
  type PlacementRow,
  selectPlacement,
  selectRates,
  selectSeenWriters,
  writePlacement,
} from '#db/sql/placement-pass.ts'
import { selectTenantWidths } from '#db/sql/placement-table.ts'
import { forgetWriters } from '#db/sql/register-writer.ts'
import { sumDemands } from '#db/sql/tenant-demands.ts'

/** Longer than a writer's slots wait for it, and than a metastore is away for an upgrade. */
const FORGET_WRITERS_MS = 10 * MS_PER_MINUTE
const FORGET_ROWS = 1_000

/** Rates of 500 writers take Postgres a tenth of a second: a writer that comes or goes does not wait for that. */
export type PassAbout = 'everything' | 'writers'

interface PassInput {
  readonly nowMs: number
  readonly table: PlacementTable
  readonly row: PlacementRow | undefined
  readonly about: PassAbout
}

const ANY = { loadMinAtWriter: 0, loadMin: 0 }
/**
 * What may need another width at once. A service has about half a unit at each of its writers, so that those with a
 * thirty-second of one change its sum by a sixteenth.
 */
const BUSY = { loadMinAtWriter: 1 / 32, loadMin: FOLLOWED_LOAD }

const NOT_READ = { rates: undefined, rest: { bytesPerSecond: 0, profilesPerSecond: 0 } }

export class PlacementPass {
  readonly #sql: Sql
  readonly #log: Log

  constructor({ sql, log }: { readonly sql: Sql; readonly log: Log }) {
    this.#sql = sql
    this.#log = log
  }

  /** The generation of the table after it; undefined: the lease has moved, somebody else makes the table. */
  async run(term: LeaseTerm, about: PassAbout = 'everything'): Promise<number | undefined> {
    return await withSqlErrors('placement', () => this.#run(term, about))
  }

  async #run(term: LeaseTerm, about: PassAbout): Promise<number | undefined> {
    const sql = this.#sql
    if (about === 'everything') await sumDemands(sql, term)
    const { nowMs, row } = await selectPlacement(sql)
    const table = row === undefined ? firstTable(nowMs) : parsePlacementTable(JSON.parse(row.content))
    const input = await this.#input({ nowMs, table, row, about })
    const plan = planPlacement(input)
    const kept = writersToKeep(plan.state, { nowMs, ageMs: FORGET_WRITERS_MS })
    await forgetWriters(sql, { ageMs: FORGET_WRITERS_MS, kept, rows: FORGET_ROWS })
    const next: PlacementRow = {
      generation: plan.table.generation,
      content: placementJson(plan.table),
      state: placementStateJson(plan.state),
    }
    // No row is written every five seconds because rates moved a little.
    const isSameTable = row !== undefined && next.content === row.content
    if (isSameTable && !isWorthWriting(input.state, plan.state)) return next.generation
    if (!(await writePlacement(sql, term, { before: row?.generation, next }))) return undefined
    if (plan.moved > 0 || table.writers.length !== plan.table.writers.length) this.#tell(plan.table, plan.moved)
    return next.generation
  }

  async #input({ nowMs, table, row, about }: PassInput): Promise<PlacementInput> {
    const sql = this.#sql
    const policy = PLACEMENT_POLICY_DEFAULT
    const { unitBytesPerSecond: unitBytes, unitProfilesPerSecond: unitProfiles } = policy.widths
    const writers = await selectSeenWriters(sql, TABLE_MAX_WRITERS)
    const state = readPlacementState(row?.state ?? '', table)
    const areBusyOnly = !isBalanceDue({ state, nowMs, policy })
    const least = areBusyOnly ? BUSY : ANY
    const read = { servicesMax: TABLE_MAX_SERVICES, unitBytes, unitProfiles, ...least }
    const rates = about === 'writers' ? NOT_READ : await selectRates(sql, read)
    const tenants = await selectTenantWidths(sql, TABLE_MAX_TENANTS)
    return { state, table, writers, ...rates, areBusyOnly, tenants, nowMs, policy }
  }

  #tell({ generation, writers }: PlacementTable, moved: number): void {
    const serving = writers.filter(({ state }) => state === 'serving').length
    this.#log.info('placement changed', { generation, writers: writers.length, serving, slotsMoved: moved })
  }
}

/** Above every generation that an edge may have from a database that was lost or restored: those began in seconds too. */
function firstTable(nowMs: number): PlacementTable {
  return { ...emptyPlacementTable(), generation: Math.floor(nowMs / MS_PER_SECOND) }
}
