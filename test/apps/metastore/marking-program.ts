/**
 * A process with one duty: while it has the lease it writes marks under its term, as fast as it can, and says so. It does
 * not look at its signal, as code that was frozen in the middle of a write cannot. What is refused is printed.
 */
import { createClock } from '#platform/clock.ts'
import { createSql } from '#db/client.ts'
import { Duties } from '../../../apps/metastore/duties.ts'
import { createSilentLog } from '../../support/silent-log.ts'

const holder = process.argv[2]!
const leaseTtlMs = Number(process.argv[3])
const sql = createSql({ url: process.env.DATABASE_URL!, maxConnections: 3 })
const duties = new Duties({ sql, clock: createClock(), log: createSilentLog(), holder, leaseTtlMs }, [
  {
    name: 'marking',
    intervalMs: 3_600_000,
    async run(term) {
      console.log(`began ${term.epoch}`)
      for (;;) {
        const rows = await sql`
          with lease as materialized (
            select 1 from leases
            where name = ${term.name} and holder = ${term.holder} and epoch = ${term.epoch} and expires_at > now()
            for share
          )
          insert into marks (holder, epoch) select ${term.holder}, ${term.epoch} from lease returning 1`.catch(
          () => undefined,
        )
        // Frozen in the middle of a statement: the server gave up on it. The next one tells.
        if (rows === undefined) continue
        if (rows.length > 0) continue
        console.log(`refused ${term.epoch}`)
        return
      }
    },
  },
])
duties.start()
