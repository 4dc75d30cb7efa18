/** Stands before a server and does to its connections what networks, poolers and failovers do. */
import { connect, createServer, type Socket } from 'node:net'

export interface TcpProxy {
  readonly port: number
  /** The same address through the proxy. */
  urlOf(url: string): string
  /** Nothing more passes, on old and new connections, until `release`. */
  hold(): void
  release(): void
  /** Old connections are never heard of again, and stay open; new ones go to this port. */
  moveTo(port: number): void
  /** All connections are reset; new ones are taken. */
  cut(): void
  close(): void
}

interface Pair {
  readonly client: Socket
  readonly server: Socket
  isDead: boolean
}

export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  const pairs = new Set<Pair>()
  let target = targetPort
  let isHeld = false

  const apply = (pair: Pair) => {
    for (const socket of [pair.client, pair.server]) {
      if (isHeld || pair.isDead) socket.pause()
      else socket.resume()
    }
  }
  const proxy = createServer((client) => {
    const pair: Pair = { client, server: connect(target, '127.0.0.1'), isDead: false }
    const { server } = pair
    pairs.add(pair)
    client.on('data', (bytes) => server.write(bytes))
    server.on('data', (bytes) => client.write(bytes))
    const end = () => {
      pairs.delete(pair)
      client.destroy()
      server.destroy()
    }
    for (const socket of [client, server]) {
      // A server that is not there is a refused connection to the client too.
      socket.on('error', () => void client.resetAndDestroy())
      socket.on('close', () => {
        if (!pair.isDead) end()
      })
    }
    apply(pair)
  })
  const port = await listen(proxy)
  return {
    port,
    urlOf(url) {
      const through = new URL(url)
      through.port = String(port)
      return through.href
    },
    hold() {
      isHeld = true
      for (const pair of pairs) apply(pair)
    },
    release() {
      isHeld = false
      for (const pair of pairs) apply(pair)
    },
    moveTo(newPort) {
      target = newPort
      for (const pair of pairs) {
        pair.isDead = true
        apply(pair)
      }
    },
    cut() {
      for (const { client } of pairs) client.resetAndDestroy()
    },
    close() {
      for (const { client, server } of pairs) {
        client.destroy()
        server.destroy()
      }
      proxy.close()
    },
  }
}

export async function freePort(): Promise<number> {
  const probe = createServer()
  const port = await listen(probe)
  await new Promise((resolve) => {
    probe.close(resolve)
  })
  return port
}

function listen(server: ReturnType<typeof createServer>): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : 0)
    })
  })
}
