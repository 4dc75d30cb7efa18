import { metastoreContract } from '../../contract/metastore.ts'
import { createSqlMetastore } from '../../support/sql-metastore.ts'

metastoreContract('Postgres', () => createSqlMetastore())
