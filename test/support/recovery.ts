/** Recovery over a database and a store, with runs that are done when the call returns. */
import assert from 'node:assert/strict'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { RecoveryRun, StartRecoveryRequest } from '#core/rpc/recovery.ts'
import type { Sql } from '#db/client.ts'
import { acquireLease, releaseLease } from '#db/sql/leases.ts'
import { createClock } from '#platform/clock.ts'
import { createCodec } from '#platform/codec.ts'
import { createRandom } from '#platform/random.ts'
import { createRecovery, type Recovery } from '../../apps/metastore/recovery.ts'
import { createSilentLog } from './silent-log.ts'

export interface RecoveryHarness extends Recovery {
  /** Starts a run and works until it has ended. */
  run(request: Partial<StartRecoveryRequest> & { kind: string }): Promise<RecoveryRun>
  /** The duty once, under its lease; `signal` interrupts it. Fails as it does. */
  work(signal?: AbortSignal): Promise<void>
}

export function createRecoveryHarness(sql: Sql, store: ObjectStore): RecoveryHarness {
  const parts = { clock: createClock(), codec: createCodec(), random: createRandom(), log: createSilentLog() }
  const recovery = createRecovery({ sql, store, ...parts, deletionGraceMs: 900_000 })
  const duty = recovery.duties.find(({ name }) => name === 'recovery')!
  const work = async (signal = new AbortController().signal) => {
    const term = await acquireLease(sql, { name: 'recovery', holder: 'test', epoch: undefined, ttlMs: 60_000 })
    assert.ok(term, 'the lease is free')
    try {
      await duty.run(term, signal)
    } finally {
      await releaseLease(sql, term)
    }
  }
  return {
    ...recovery,
    work,
    async run(request) {
      const { runId } = await recovery.service.startRecovery({ repair: false, deep: false, key: '', ...request })
      await work()
      return await recovery.service.getRecovery({ runId, waitMs: 0 })
    },
  }
}
