/**
 * One address before several servers: each connection goes to the next that accepts it, byte for byte. So replicas look
 * like one to clients that know one address, and a server may come back elsewhere. No health checks: a server that is
 * frozen accepts and does not answer, as behind any balancer in its first seconds.
 */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface Balancer {
  readonly port: number
  /** Ports of the servers; empty refuses every connection. Open connections are cut when theirs leaves. */
  retarget(ports: readonly number[]): void
  close(): void
}

export async function startBalancer(ports: readonly number[]): Promise<Balancer> {
  let targets = ports
  let turn = 0
  const open = new Map<Socket, number>()

  function pipeToNext(client: Socket, left: number): void {
    const port = targets.length === 0 || left === 0 ? undefined : targets[turn++ % targets.length]
    if (port === undefined) return void client.destroy()
    const server = connect(port, '127.0.0.1')
    let isConnected = false
    server.once('connect', () => {
      isConnected = true
      open.set(client, port)
      client.pipe(server)
      server.pipe(client)
    })
    server.once('error', () => {
      if (isConnected) client.destroy()
      else pipeToNext(client, left - 1)
    })
    server.once('close', () => {
      if (isConnected) client.destroy()
    })
    client.once('close', () => server.destroy())
  }

  const listener = createServer((client) => {
    client.on('error', () => client.destroy())
    client.once('close', () => open.delete(client))
    pipeToNext(client, targets.length)
  })
  await new Promise<void>((resolve) => {
    listener.listen(0, '127.0.0.1', resolve)
  })
  return {
    port: (listener.address() as AddressInfo).port,
    retarget(next) {
      targets = next
      for (const [client, port] of open) if (!next.includes(port)) client.destroy()
    },
    close() {
      for (const client of open.keys()) client.destroy()
      listener.close()
    },
  }
}
