import { createJobService } from '../../../apps/metastore/job-service.ts'
import { metastoreJobsContract } from '../../contract/metastore-jobs.ts'
import { createSqlMetastore } from '../../support/sql-metastore.ts'

metastoreJobsContract('Postgres', async () => {
  const harness = await createSqlMetastore()
  return { ...harness, jobs: createJobService({ sql: harness.database.sql, settings: harness.settings }) }
})
