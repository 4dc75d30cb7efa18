/**
 * A process of ours whose database connection closes between a statement and its write: a server that accepts, answers the
 * start of a session, and closes as the first statement of a transaction is queued. Then an error that is nobody's.
 */
import { createServer, type Socket } from 'node:net'
import type { AddressInfo } from 'node:net'
import postgres from 'postgres'
import { createProcessLog } from '#platform/log.ts'
import { runProcess } from '#platform/service.ts'

const READY = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0, 0x5a, 0, 0, 0, 5, 0x49])
const BEGAN = Buffer.concat([
  Buffer.from([0x43, 0, 0, 0, 10]),
  Buffer.from('BEGIN\0'),
  Buffer.from([0x5a, 0, 0, 0, 5, 0x54]),
])

let began: Socket | undefined
const server = createServer((socket) => {
  socket.on('error', () => undefined)
  let isStarted = false
  socket.on('data', () => {
    if (isStarted) {
      began = socket
      socket.write(BEGAN)
    } else socket.write(READY)
    isStarted = true
  })
})
await new Promise<void>((resolve) => {
  server.listen(0, '127.0.0.1', resolve)
})

await runProcess(createProcessLog(), async () => {
  const { port } = server.address() as AddressInfo
  const sql = postgres({ host: '127.0.0.1', port, max: 1, fetch_types: false, onnotice: () => undefined })
  const closed = sql
    .begin(async (tx) => {
      await new Promise<void>((resolve) => {
        began?.once('close', () => resolve())
        began?.destroy()
      })
      // The client has seen the close by the time this is written.
      setTimeout(() => void tx`select 1`.catch(() => undefined), 50)
      await new Promise((resolve) => {
        setTimeout(resolve, 200)
      })
    })
    .catch(() => undefined)
  setTimeout(() => {
    process.stdout.write('still here\n')
    setTimeout(() => {
      throw new TypeError('another')
    })
  }, 600)
  await closed
})
