/** Composition root of `cinder`: the real terminal, clock, network and files. */
import { readFileSync } from 'node:fs'
import { appendFile, readFile, writeFile } from 'node:fs/promises'
import { openInternal } from '#platform/connect/internal-bun.ts'
import { runCli } from './cli.ts'
import { listFiles } from './list-files.ts'
import { EXIT, type Shell } from './shell.ts'

const { stdout, stderr, env } = process

/** The shared token and certificates, from the same settings as those of the services. */
function openShared(): ReturnType<typeof openInternal>['client'] {
  try {
    return openInternal(env).client
  } catch (error) {
    stderr.write(`cinder: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exit(EXIT.usage)
  }
}
const { token: internalToken, fetch: send } = openShared()

const shell: Shell = {
  out: (text) => void stdout.write(`${text}\n`),
  err: (text) => void stderr.write(`${text}\n`),
  // Carriage return and "erase to the end of the line".
  progress: (text) => {
    if (stderr.isTTY) stderr.write(`\r\u{1b}[K${text}`)
  },
  isTerminal: stdout.isTTY === true,
  // no-color.org: any value that is not empty.
  hasColour: stdout.isTTY === true && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb',
  columns: stdout.columns ?? 0,
  nowMs: () => Date.now(),
  every: (intervalMs, run) => {
    const timer = setInterval(run, intervalMs)
    return () => clearInterval(timer)
  },
  sleep: (durationMs) =>
    new Promise((resolve) => {
      setTimeout(resolve, durationMs)
    }),
  fetch: send ?? ((url, init) => fetch(url, init)),
  internalToken,
  readFile: async (path) => new Uint8Array(await readFile(path)),
  writeFile: (path, bytes) => writeFile(path, bytes),
  appendFile: (path, text) => appendFile(path, text),
  listFiles,
}

// `cinder … | head` closes our output early: that is the reader's wish, not a failure.
stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
process.exitCode = await runCli(process.argv.slice(2), shell, manifest.version)
