/**
 * For calls that any query-backend answers alike (ad-hoc profiles, results of async queries): the one that answered last,
 * and while it cannot be reached the next of the list. A message that is sent as a stream is sent once: it is gone then.
 */
import type { ConnectClientOptions } from '#platform/connect/client.ts'

type Send = NonNullable<ConnectClientOptions['fetch']>

/** For a client of `urls[0]`. */
export function firstReachable(urls: readonly string[], options: ConnectClientOptions): ConnectClientOptions {
  const send: Send = options.fetch ?? ((url, init) => fetch(url, init))
  const base = urls[0]!.replace(/\/+$/, '')
  let last = 0
  return {
    ...options,
    async fetch(url, init) {
      const path = url.slice(base.length)
      for (let tries = 1; ; tries++) {
        const asked = last
        try {
          return await send(urls[asked]!.replace(/\/+$/, '') + path, init)
        } catch (error) {
          const isSpent = init.body instanceof ReadableStream || init.signal?.aborted === true
          // Another call may have found one that answers meanwhile.
          if (last === asked) last = (asked + 1) % urls.length
          if (isSpent || tries >= urls.length) throw error
        }
      }
    },
  }
}
