/** A shell that records, and a server of canned answers on a port of its own. */
import { after } from 'node:test'
import { appendFile, readFile, writeFile } from 'node:fs/promises'
import { runCli } from '../../../apps/cli/cli.ts'
import { listFiles } from '../../../apps/cli/list-files.ts'
import type { Shell } from '../../../apps/cli/shell.ts'

export const NOW_MS = Date.UTC(2026, 10, 21, 13, 0, 0)

export interface CliResult {
  readonly code: number
  readonly out: string
  readonly err: string
  readonly progress: readonly string[]
}

export async function cinder(argv: readonly string[], overrides: Partial<Shell> = {}): Promise<CliResult> {
  const out: string[] = []
  const err: string[] = []
  const progress: string[] = []
  const shell: Shell = {
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
    progress: (text) => void progress.push(text),
    isTerminal: false,
    hasColour: false,
    columns: 0,
    nowMs: () => NOW_MS,
    fetch: (url, init) => fetch(url, init),
    readFile: async (path) => new Uint8Array(await readFile(path)),
    writeFile: (path, bytes) => writeFile(path, bytes),
    appendFile: (path, text) => appendFile(path, text),
    listFiles,
    ...overrides,
  }
  const code = await runCli(argv, shell, '1.2.3')
  return { code, out: out.join('\n'), err: err.join('\n'), progress }
}

export interface Received {
  readonly procedure: string
  readonly headers: Headers
  readonly body: Uint8Array
  json(): Record<string, unknown>
}

export interface FakeServer {
  readonly url: string
  readonly received: Received[]
}

/** By procedure, such as `SelectSeries`: a JSON answer, or a response. Stopped when the file is done. */
export function startFakeServer(
  answers: Readonly<Record<string, (request: Received) => object | Response>>,
): FakeServer {
  const received: Received[] = []
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      const procedure = new URL(request.url).pathname.split('/').at(-1)!
      const body = new Uint8Array(await request.arrayBuffer())
      const seen: Received = {
        procedure,
        headers: request.headers,
        body,
        json: () => JSON.parse(new TextDecoder().decode(body)) as Record<string, unknown>,
      }
      received.push(seen)
      const answer = answers[procedure]?.(seen) ?? connectError(404, 'unimplemented', `no ${procedure}`)
      return answer instanceof Response ? answer : Response.json(answer)
    },
  })
  after(() => server.stop(true))
  return { url: `http://127.0.0.1:${server.port}`, received }
}

export function connectError(status: number, code: string, message: string): Response {
  return Response.json({ code, message }, { status })
}
