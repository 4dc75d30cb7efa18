/** Starts the embedded Postgres, says so in one line of JSON, stops it on SIGTERM. SIGINT is noted and ignored. */
import { createProcessLog } from '#platform/log.ts'
import { startPostgres } from '#platform/postgres/launcher.ts'

const [dataDir, stagingRoot] = process.argv.slice(2) as [string, string | undefined]
process.on('SIGINT', () => console.log('got SIGINT'))

const postgres = await startPostgres({
  dataDir,
  log: createProcessLog(),
  ...(stagingRoot === undefined ? {} : { allowNamespace: false, stagingRoot }),
})
process.on('SIGTERM', () => {
  void postgres.stop().then(() => {
    console.log('stopped')
    process.exit(0)
  })
})
console.log(JSON.stringify({ ready: true, url: postgres.url, pid: postgres.pid, describe: postgres.describe }))
