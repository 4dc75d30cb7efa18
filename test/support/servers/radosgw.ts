/**
 * A real S3 server for suites: Ceph's radosgw, started by radosgw.sh in about 15 s, one bucket a call. It ends with the
 * process that started it. `RADOSGW_URL` names one that runs already (`radosgw.sh` starts it by hand), for development.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'

export const ACCESS_KEY = 'CINDERTESTACCESSKEY0'
export const SECRET_KEY = 'not-a-secret-of-anyone-0123456789abcdefg'
const REGION = 'us-east-1'
const PROGRAMS = ['bash', 'ceph', 'ceph-mon', 'ceph-osd', 'monmaptool', 'radosgw', 'radosgw-admin']
/** Alone it takes 8 s; four suites at once on two cores take several times that. */
const START_DEADLINE_MS = 100_000

export interface Radosgw {
  /** `http://127.0.0.1:port`. */
  readonly url: string
  /** A new bucket; resolves to its name. */
  makeBucket(): Promise<string>
  /** Keys as the environment variables that every AWS tool reads. */
  readonly env: Readonly<Record<string, string>>
}

/** Why there is no server here, as the reason of a skip; false if there is one. */
export function radosgwAbsent(): string | false {
  if (process.env.RADOSGW_URL !== undefined) return false
  const directories = (process.env.PATH ?? '').split(delimiter)
  const missing = PROGRAMS.filter((name) => !directories.some((directory) => existsSync(join(directory, name))))
  if (missing.length === 0) return false
  return `${missing.join(', ')} not found (Debian: apt-get install ceph-mon ceph-osd radosgw)`
}

let started: Promise<Radosgw> | undefined

export function startRadosgw(): Promise<Radosgw> {
  started ??= start()
  return started
}

async function start(): Promise<Radosgw> {
  const url = process.env.RADOSGW_URL ?? (await launch())
  const env = { AWS_ACCESS_KEY_ID: ACCESS_KEY, AWS_SECRET_ACCESS_KEY: SECRET_KEY, AWS_REGION: REGION }
  const credentials = { accessKeyId: ACCESS_KEY, secretAccessKey: SECRET_KEY }
  const client = new S3Client({ endpoint: url, region: REGION, forcePathStyle: true, credentials })
  let made = 0
  return {
    url,
    env,
    async makeBucket() {
      const name = `test-${process.pid}-${++made}`
      await client.send(new CreateBucketCommand({ Bucket: name }))
      return name
    },
  }
}

async function launch(): Promise<string> {
  const dir = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'cinder-rgw-'))
  const [monPort, s3Port] = [await freePort(), await freePort()]
  const script = join(import.meta.dirname, 'radosgw.sh')
  const child = spawn('bash', [script, dir, String(monPort), String(s3Port), ACCESS_KEY, SECRET_KEY], {
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  })
  await new Promise<void>((resolve, reject) => {
    let output = ''
    const timer = setTimeout(() => {
      child.stdin.end()
      reject(new Error(`radosgw was not ready within ${START_DEADLINE_MS} ms: ${output}`))
    }, START_DEADLINE_MS)
    child.stderr.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString('utf8')).slice(-4_000)
    })
    child.once('exit', (code) => {
      clearTimeout(timer)
      reject(new Error(`radosgw ended with ${code} before it was ready: ${output}`))
    })
    child.stdout.once('data', () => {
      clearTimeout(timer)
      resolve()
    })
  })
  // From here on nothing of it keeps this process alive; the end of the pipe, when we end, is what stops it.
  child.unref()
  for (const stream of [child.stdin, child.stdout, child.stderr] as unknown as { unref?: () => void }[])
    stream.unref?.()
  return `http://127.0.0.1:${s3Port}`
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}
