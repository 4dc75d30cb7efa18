/** What the platform of a worker counts against its 128 MB: the heap of its isolate and the buffers beside it. */

/** As the debugger of V8 tells it. */
interface HeapUsage {
  readonly totalSize: number
  readonly backingStorageSize: number
}

export interface IsolateMeter {
  bytes(): Promise<number>
  close(): void
}

/** `port`: where workerd's inspector listens. */
export async function meterIsolate(port: string): Promise<IsolateMeter> {
  const targets = (await (await fetch(`http://127.0.0.1:${port}/json`)).json()) as { webSocketDebuggerUrl: string }[]
  const socket = new WebSocket(targets[0]!.webSocketDebuggerUrl)
  const opened = Promise.withResolvers<void>()
  const answers = new Map<number, (usage: HeapUsage) => void>()
  socket.onopen = () => opened.resolve()
  socket.onerror = () => opened.reject(new Error(`no inspector answers at port ${port}`))
  socket.onmessage = (event) => {
    const { id, result } = JSON.parse(String(event.data)) as { id: number; result: HeapUsage }
    answers.get(id)?.(result)
    answers.delete(id)
  }
  await opened.promise
  let calls = 0
  return {
    async bytes() {
      const answer = Promise.withResolvers<HeapUsage>()
      answers.set(++calls, answer.resolve)
      socket.send(JSON.stringify({ id: calls, method: 'Runtime.getHeapUsage' }))
      const { totalSize, backingStorageSize } = await answer.promise
      return totalSize + backingStorageSize
    },
    close: () => socket.close(),
  }
}
