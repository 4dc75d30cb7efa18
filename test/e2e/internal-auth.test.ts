/** Token and certificates between real processes: a metastore that asks, query-frontends on Bun and Deno that bring them. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { absentOpenssl, makeAuthority } from '../support/certificates.ts'
import { withDatabase, type TestDatabase } from '../support/postgres.ts'
import { type Program, startProgram } from '../support/process.ts'
import { buildPprof } from '../support/profiles.ts'
import { askTotal, pushOne, sendTo } from '../support/server-client.ts'
import { cleanEnv, makeDataDir, ROOT } from '../support/server-process.ts'
import { startFakeS3 } from '../support/servers/fake-s3.ts'

const OLD = 'the-old-token-0123456789'
const NEW = 'the-new-token-0123456789'
const DENO = join(ROOT, 'node_modules/.bin/deno')

const cwd = await makeDataDir()
let database: TestDatabase
before(async () => {
  database = await withDatabase()
})

interface Started {
  readonly program: Program
  readonly url: string
}

async function start(
  name: string,
  settings: Readonly<Record<string, string>>,
  command: readonly [string, ...string[]] = [process.execPath, join(ROOT, 'apps', name, 'main.ts')],
): Promise<Started> {
  const program = startProgram({ command, cwd, env: cleanEnv(settings) })
  const url = (await program.waitFor(new RegExp(`"event":"${name} ready","url":"([^"]+)"`)))[1]!
  return { program, url }
}

const startMetastore = (settings: Readonly<Record<string, string>>) =>
  start('metastore', { ...database.env, ...settings })

async function startFrontend(metastore: Started, settings: Readonly<Record<string, string>>): Promise<Started> {
  return await start('query-frontend', { METASTORE_URL: metastore.url, QUERY_BACKEND_URL: metastore.url, ...settings })
}

async function askNames({ url }: Started): Promise<{ status: number; body: string }> {
  const response = await fetch(`${url}/querier.v1.QuerierService/LabelNames`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ start: String(Date.now() - 60_000), end: String(Date.now()) }),
  })
  return { status: response.status, body: await response.text() }
}

test('a token opens the metastore, a wrong one is an outage with its reason, and both of a rotation work', async () => {
  const metastore = await startMetastore({ CINDER_INTERNAL_TOKEN: `${OLD},${NEW}` })
  assert.equal((await fetch(`${metastore.url}/ready`)).status, 200)
  for (const path of ['/status', '/compactor/jobs', '/cinder.v1.StatusService/GetStatus']) {
    assert.equal((await fetch(`${metastore.url}${path}`, { method: path.includes('v1') ? 'POST' : 'GET' })).status, 401)
  }
  const page = await fetch(`${metastore.url}/status`, { headers: { Authorization: `Bearer ${NEW}` } })
  assert.match(await page.text(), /^All is well|Compaction backlog/)
  const frontends = await Promise.all(
    [OLD, NEW, `${NEW},${OLD}`, 'nobody-knows-this-token', ''].map((token) =>
      startFrontend(metastore, { CINDER_INTERNAL_TOKEN: token }),
    ),
  )
  const answers = await Promise.all(frontends.map(askNames))
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200, 200, 503, 503],
  )
  assert.match(answers[3]!.body, /refused our internal token/)
})

test('certificates: only callers with one of the authority are served (needs openssl)', {
  skip: absentOpenssl(),
}, async () => {
  const authority = makeAuthority()
  const stranger = makeAuthority().issue('stranger')
  const server = authority.issue('metastore')
  const client = authority.issue('frontend')
  const files = (own: { certPath: string; keyPath: string }) => ({
    CINDER_TLS_CERT: own.certPath,
    CINDER_TLS_KEY: own.keyPath,
    CINDER_TLS_CA: authority.caPath,
  })
  const metastore = await startMetastore({ ...files(server), HOST: '127.0.0.1' })
  assert.match(metastore.url, /^https:/)
  const known = await startFrontend(metastore, files(client))
  assert.equal((await askNames(known)).status, 200)
  for (const settings of [files(stranger), { CINDER_TLS_CA: authority.caPath }, {}]) {
    const answer = await askNames(await startFrontend(metastore, settings))
    assert.equal(answer.status, 503, answer.body)
  }
  if (!existsSync(DENO)) assert.fail('deno is a development dependency')
  const main = join(ROOT, 'apps/query-frontend/main.deno.ts')
  const onDeno = await start(
    'query-frontend',
    { METASTORE_URL: metastore.url, QUERY_BACKEND_URL: metastore.url, ...files(client), NO_COLOR: '1' },
    [DENO, 'run', '--quiet', '--no-check', '--allow-net', '--allow-env', '--allow-read', main],
  )
  const answer = await askNames(onDeno)
  assert.equal(answer.status, 200, answer.body)
})

test('a push of a megabyte and a query through five services, by token and certificates (needs openssl)', {
  skip: absentOpenssl(),
}, async () => {
  const authority = makeAuthority()
  const own = (name: string) => {
    const { certPath, keyPath } = authority.issue(name)
    return {
      CINDER_INTERNAL_TOKEN: NEW,
      CINDER_TLS_CERT: certPath,
      CINDER_TLS_KEY: keyPath,
      CINDER_TLS_CA: authority.caPath,
    }
  }
  const s3 = await startFakeS3()
  const keys = { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'secret' }
  const storage = { ...keys, STORAGE_URL: `s3://bucket/auth?endpoint=${s3.url}` }
  const metastore = await startMetastore(own('metastore'))
  const writer = await start('segment-writer', { ...own('writer'), ...storage, METASTORE_URL: metastore.url })
  const backend = await start('query-backend', { ...own('backend'), ...storage })
  const distributor = await start('distributor', { ...own('distributor'), WRITER_URL: writer.url })
  const frontend = await start('query-frontend', {
    ...own('frontend'),
    METASTORE_URL: metastore.url,
    QUERY_BACKEND_URL: backend.url,
  })
  const timeNanos = BigInt(Date.now() - 1_000) * 1_000_000n
  // Names that do not compress: a message this large is sent in chunks.
  const name = (i: number) => createHash('sha512').update(String(i)).digest('hex').repeat(4)
  const samples = Array.from({ length: 2_000 }, (_, i) => ({ stack: [name(i), 'main'], values: [1] }))
  const profile = buildPprof({ timeNanos, samples })
  assert.ok(profile.length > 1_000_000, `${profile.length} bytes`)
  await pushOne(sendTo(distributor.url), 'shop', profile)
  assert.equal(await askTotal(sendTo(frontend.url), 'shop'), 2_000n)
  const metrics = await fetch(`${distributor.url}/metrics`)
  assert.equal(metrics.status, 401)
})

test('a listener that is open to others says so, and a missing file is one sentence', async () => {
  const metastore = await startMetastore({ HOST: '0.0.0.0' })
  assert.match(metastore.program.output(), /"event":"metastore listens on 0\.0\.0\.0 and asks nobody for a token: /)
  const command = [process.execPath, join(ROOT, 'apps/metastore/main.ts')] as const
  const env = cleanEnv({ ...database.env, CINDER_TLS_CERT: '/nowhere.pem', CINDER_TLS_KEY: '/nowhere.key' })
  const broken = startProgram({ command: [...command], cwd, env })
  assert.equal((await broken.exited).code, 1)
  assert.match(
    broken.stderr(),
    /^cinder: setting CINDER_TLS_CERT names \/nowhere\.pem, which cannot be read: ENOENT\n$/,
  )
})
