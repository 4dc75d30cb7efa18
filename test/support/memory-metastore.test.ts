import { metastoreContract } from '../contract/metastore.ts'
import { metastoreJobsContract } from '../contract/metastore-jobs.ts'
import { createMemoryMetastore } from './memory-metastore.ts'
import { createTwinJobService } from './metastore-twin/job-service.ts'

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
