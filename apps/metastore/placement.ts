/**
 * Placement over Postgres: registrations come in, passes make the table, edges read it.
 *
 * 1. A registration is a row with a lease and what the writer takes in (db/sql/register-writer.ts). The answer says what its
 *    tenants bring to other writers, as the last pass summed it (db/sql/tenant-demands.ts).
 * 2. A pass (placement-pass.ts) is a duty, every five seconds on some replica; and one is made at once, by the replica that
 *    was told, where a writer comes, goes or says that it leaves: it is answered when edges can read of it, or after a
 *    quarter of a second. Many that come together share a pass.
 * 3. The table is one row, so every replica gives the same bytes and the same ETag.
 */
import { CinderError, invalidArgument } from '#core/errors.ts'
import { emptyPlacementTable, placementJson, TABLE_MAX_TENANTS, TABLE_MAX_WRITERS } from '#core/placement/table.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import type { PlacementService, RegisterWriterRequest } from '#core/rpc/placement.ts'
import { MS_PER_MINUTE, MS_PER_SECOND } from '#core/units.ts'
import type { Sql } from '#db/client.ts'
import { withSqlErrors } from '#db/errors.ts'
import { selectTable, setTenantWidth } from '#db/sql/placement-table.ts'
import { beginTerm, endTerm, isTakenOver, PLACEMENT_DUTY, renewTerm } from '#db/sql/register-writer.ts'
import { selectOthers } from '#db/sql/tenant-demands.ts'
import type { Duty } from './duties.ts'
import { PlacementPass } from './placement-pass.ts'
import { Publisher } from './placement-publish.ts'
import { checkRegistration, checkTenantWidth, withTellableNames } from './placement-validate.ts'

export interface PlacementDeps {
  readonly sql: Sql
  readonly clock: Clock
  readonly log: Log
  /** Of the leases: unique per process start. */
  readonly holder: string
}

export interface Placement {
  readonly service: PlacementService
  readonly duties: readonly Duty[]
  readonly pass: PlacementPass
}

/** A renewal of every writer comes in it: rates are as old at most. */
const PASS_INTERVAL_MS = 5 * MS_PER_SECOND
/** Of the table before the first pass: the same at every replica. */
const EMPTY = { etag: 'empty', json: placementJson(emptyPlacementTable()) }

export function createPlacement(deps: PlacementDeps): Placement {
  const { sql } = deps
  const pass = new PlacementPass(deps)
  const publisher = new Publisher(deps, pass)
  const duty: Duty = {
    name: PLACEMENT_DUTY,
    intervalMs: PASS_INTERVAL_MS,
    run: async (term) => void (await pass.run(term)),
  }
  return {
    pass,
    duties: [duty],
    service: {
      async registerWriter(asked) {
        checkRegistration(asked)
        const request = withTellableNames(asked)
        const { writerId } = request
        const others = await withSqlErrors('register writer', () => selectOthers(sql, request))
        const term = await withSqlErrors('register writer', () =>
          request.epoch === 0 ? beginTerm(sql, request, { writersMax: TABLE_MAX_WRITERS }) : renewTerm(sql, request),
        )
        if (term === undefined) return await explainRefusal(sql, request)
        const generation = term.isNews ? await publisher.publish(writerId) : undefined
        const answer = { verdict: 'registered', epoch: term.epoch, generation: generation ?? term.generation }
        return others === undefined ? answer : { ...answer, others: { tenants: others } }
      },
      async deregisterWriter(request) {
        const { isEnded, generation } = await withSqlErrors('deregister writer', () => endTerm(sql, request))
        const published = isEnded ? await publisher.publish(request.writerId) : undefined
        return { deregistered: isEnded, generation: published ?? generation }
      },
      async getPlacement({ etag }) {
        const found = await withSqlErrors('get placement', () => selectTable(sql, etag))
        if (found === undefined) return etag === EMPTY.etag ? { etag, json: '' } : EMPTY
        return { etag: found.etag, json: found.content }
      },
      async setTenantWidth({ tenant, width }) {
        checkTenantWidth(tenant, width)
        const change = { tenant, width, tenantsMax: TABLE_MAX_TENANTS }
        const before = await withSqlErrors('set the slots of a tenant', () => setTenantWidth(sql, change))
        if (before !== undefined) return { before }
        throw invalidArgument(
          `${TABLE_MAX_TENANTS} tenants have slots of their own; allowed ${TABLE_MAX_TENANTS}`,
          'tenants',
        )
      },
    },
  }
}

async function explainRefusal(sql: Sql, request: RegisterWriterRequest) {
  if (request.epoch === 0) {
    throw new CinderError(
      'resource_exhausted',
      `${TABLE_MAX_WRITERS} writers are registered; allowed ${TABLE_MAX_WRITERS}`,
      {
        reason: 'writers',
        retryAfterMs: MS_PER_MINUTE,
      },
    )
  }
  const isTaken = await withSqlErrors('register writer', () => isTakenOver(sql, request))
  return { verdict: isTaken ? 'superseded' : 'forgotten', epoch: 0, generation: 0 }
}
