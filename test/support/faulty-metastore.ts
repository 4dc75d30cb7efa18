/** A metastore that fails or stalls on command, call by call, as `faultyStore` does for stores; it remembers its calls. */
import type { Metastore } from '#core/rpc/metastore.ts'
import type { Fault, Stall } from './faulty-store.ts'

export type MetastoreCall = keyof Metastore

export interface FaultyMetastore extends Metastore {
  readonly calls: MetastoreCall[]
  failNext(call: MetastoreCall, fault: Fault): void
  /** The next such call waits before it does anything. */
  stallNext(call: MetastoreCall): Stall
}

interface Gate {
  readonly call: MetastoreCall
  readonly reached: () => void
  readonly released: Promise<void>
}

export function faultyMetastore(inner: Metastore): FaultyMetastore {
  const calls: MetastoreCall[] = []
  const faults: { call: MetastoreCall; fault: Fault }[] = []
  const gates: Gate[] = []

  async function through<T>(call: MetastoreCall, run: () => Promise<T>): Promise<T> {
    calls.push(call)
    const gateAt = gates.findIndex((gate) => gate.call === call)
    if (gateAt !== -1) {
      const [gate] = gates.splice(gateAt, 1) as [Gate]
      gate.reached()
      await gate.released
    }
    const faultAt = faults.findIndex((planned) => planned.call === call)
    if (faultAt === -1) return run()
    const [{ fault }] = faults.splice(faultAt, 1) as [{ call: MetastoreCall; fault: Fault }]
    if (fault.when === 'after') await run()
    throw fault.error
  }

  return {
    calls,
    failNext(call, fault) {
      for (let i = 0; i < (fault.count ?? 1); i++) faults.push({ call, fault })
    },
    stallNext(call) {
      const reached = Promise.withResolvers<void>()
      const released = Promise.withResolvers<void>()
      gates.push({ call, reached: reached.resolve, released: released.promise })
      return { reached: reached.promise, release: released.resolve }
    },
    commitSegment: (request) => through('commitSegment', () => inner.commitSegment(request)),
    pollJobs: (request) => through('pollJobs', () => inner.pollJobs(request)),
    commitCompaction: (request) => through('commitCompaction', () => inner.commitCompaction(request)),
    planQuery: (request) => through('planQuery', () => inner.planQuery(request)),
    labelSets: (request) => through('labelSets', () => inner.labelSets(request)),
    tenantStats: (request) => through('tenantStats', () => inner.tenantStats(request)),
    claimTombstones: (request) => through('claimTombstones', () => inner.claimTombstones(request)),
    confirmDeleted: (request) => through('confirmDeleted', () => inner.confirmDeleted(request)),
  }
}
