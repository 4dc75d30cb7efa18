import { openFilesystemStore } from '#platform/object-store/filesystem.ts'
import { recoveryContract } from '../../contract/metastore-recovery.ts'
import { makeDataDir } from '../../support/server-process.ts'

recoveryContract('local files', async () => await openFilesystemStore(await makeDataDir()))
