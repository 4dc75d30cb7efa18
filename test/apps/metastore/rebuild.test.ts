import { openFilesystemStore } from '#platform/object-store/filesystem.ts'
import { rebuildContract } from '../../contract/metastore-rebuild.ts'
import { recoveryContract } from '../../contract/metastore-recovery.ts'
import { createSqlRebuild } from '../../support/rebuild-harness.ts'
import { makeDataDir } from '../../support/server-process.ts'

recoveryContract('local files', async () => await openFilesystemStore(await makeDataDir()))

rebuildContract('Postgres', createSqlRebuild)
