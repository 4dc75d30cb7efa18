/** `npm start`: every service in one process. A person reads the start block; a pipe gets it as an event in JSON too. */
import { openInternal } from '#platform/connect/internal-bun.ts'
import { createProcessLog } from '#platform/log.ts'
import { runProcess } from '#platform/service.ts'
import { startAllInOne } from './app.ts'
import { readConfig } from './config.ts'
import { formatStartBlock } from './start-block.ts'

const log = createProcessLog()

await runProcess(log, async (lifecycle) => {
  const config = readConfig(process.env)
  const facts = await startAllInOne(config, { log, lifecycle, internal: openInternal(process.env) })
  const block = `${formatStartBlock(config, facts)}\n`
  if (process.stdout.isTTY === true) {
    process.stdout.write(block)
  } else {
    // Standard output stays one JSON object a line.
    log.info('ready', { ...facts, readyMs: Math.round(facts.readyMs) })
    process.stderr.write(block)
  }
})
