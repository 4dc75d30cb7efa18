import { metastoreContract } from '../contract/metastore.ts'
import { metastoreJobsContract } from '../contract/metastore-jobs.ts'
import { rebuildContract } from '../contract/metastore-rebuild.ts'
import { tenantsContract } from '../contract/metastore-tenants.ts'
import { createMemoryMetastore } from './memory-metastore.ts'
import { createTwinJobService } from './metastore-twin/job-service.ts'
import { createTwinTenants } from './metastore-twin/tenant-service.ts'
import { createTwinRebuild } from './rebuild-harness.ts'

function createHarness() {
  const metastore = createMemoryMetastore()
  return {
    metastore,
    failuresMax: metastore.failuresMax,
    plan: async () => metastore.plan(),
    expireJobLeases: async () => metastore.expireJobLeases(),
    endBackoff: async () => metastore.endBackoff(),
    endGrace: async () => metastore.endGrace(),
    retireDataset: async (objectId: string, index: number) => metastore.retireDataset(objectId, index),
    close: async () => undefined,
  }
}

metastoreContract('memory', async () => createHarness())

metastoreJobsContract('memory', async () => {
  const harness = createHarness()
  return { ...harness, jobs: createTwinJobService(harness.metastore.state) }
})

/** A time that stands still: deaths and object ids are compared with it. */
const NOW_MS = 1_790_000_000_000

tenantsContract('memory', async () => {
  const metastore = createMemoryMetastore(undefined, { nowMs: () => NOW_MS })
  const tenants = createTwinTenants(metastore.state)
  return {
    metastore,
    service: tenants.service,
    plan: async () => metastore.plan(),
    runDeletions: async () => tenants.runDeletions(),
    runRetention: async () => tenants.runRetention(),
    endDelay: async (tenant) => tenants.endDelay(tenant),
    endAnnouncement: async (tenant, service) => tenants.endAnnouncement({ tenant, service }),
    endGrace: async () => metastore.endGrace(),
    nowMs: async () => NOW_MS,
    close: async () => undefined,
  }
})

rebuildContract('memory', createTwinRebuild)
