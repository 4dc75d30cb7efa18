/**
 * The edge apps must run where there is no Node and no Bun: their bundles may import nothing, and must stay small,
 * because a worker parses its whole program at a cold start.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'

const ROOT = join(import.meta.dirname, '../..')
/** Connect and protobuf are 38 kB of it, the RE2 port 50 kB; 300 kB start in about 10 ms. */
const GZIP_BYTES_MAX = 300_000

async function bundle(entry: string) {
  const result = await build({
    entryPoints: [join(ROOT, entry)],
    absWorkingDir: ROOT,
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    conditions: ['workerd', 'worker', 'browser'],
    minify: true,
    metafile: true,
    logLevel: 'silent',
    external: ['node:*', 'bun', 'bun:*'],
  })
  const imports = Object.entries(result.metafile.inputs).flatMap(([file, input]) =>
    input.imports.filter((each) => each.external === true).map((each) => `${file} imports ${each.path}`),
  )
  return { code: result.outputFiles[0]!.text, imports }
}

/** Names that only one runtime has. `process` is there for a log that a worker never makes. */
const RUNTIME_GLOBALS = /\bBun\.|\bDeno\.|\bBuffer\.|\brequire\(/

for (const app of ['distributor', 'query-frontend']) {
  test(`${app} runs on fetch and web streams alone`, async () => {
    const { code, imports } = await bundle(`apps/${app}/main.edge.ts`)
    assert.deepEqual(imports, [])
    assert.equal(RUNTIME_GLOBALS.exec(code)?.[0], undefined)
    const gzipBytes = gzipSync(code).length
    assert.ok(gzipBytes <= GZIP_BYTES_MAX, `${app} has ${gzipBytes} bytes gzip, ${GZIP_BYTES_MAX} are allowed`)
  })
}

test('the bundle answers requests by itself', async () => {
  const { code } = await bundle('apps/distributor/main.edge.ts')
  const url = URL.createObjectURL(new Blob([code], { type: 'text/javascript' }))
  const worker = (await import(url)) as {
    default: { fetch(request: Request, env: Record<string, string>): Promise<Response> }
  }
  const env = { WRITER_URL: 'http://127.0.0.1:1', CINDER_MULTITENANCY: 'true' }
  const ready = await worker.default.fetch(new Request('http://edge/ready'), env)
  assert.equal(await ready.text(), 'ready')
  const refused = await worker.default.fetch(new Request('http://edge/ingest?name=app', { method: 'POST' }), env)
  assert.equal(refused.status, 401)
  const nothing = await worker.default.fetch(
    new Request('http://edge/push.v1.PusherService/Push', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Scope-OrgID': 'a' },
      body: '{}',
    }),
    env,
  )
  assert.equal(nothing.status, 400)
})

test('an app of the fleet would be found out', async () => {
  const { imports } = await bundle('apps/platform/codec.ts')
  assert.deepEqual(imports, ['apps/platform/codec.ts imports node:zlib'])
})
