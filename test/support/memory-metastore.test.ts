import { metastoreContract } from '../contract/metastore.ts'
import { createMemoryMetastore } from './memory-metastore.ts'

metastoreContract('memory', async () => {
  const metastore = createMemoryMetastore()
  return {
    metastore,
    failuresMax: metastore.failuresMax,
    plan: async () => metastore.plan(),
    expireJobLeases: async () => metastore.expireJobLeases(),
    endBackoff: async () => metastore.endBackoff(),
    endGrace: async () => metastore.endGrace(),
    retireDataset: async (objectId, index) => metastore.retireDataset(objectId, index),
    close: async () => undefined,
  }
})
