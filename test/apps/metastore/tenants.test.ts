import { tenantsContract } from '../../contract/metastore-tenants.ts'
import { createSqlTenants } from '../../support/sql-tenants.ts'

tenantsContract('Postgres', () => createSqlTenants())
