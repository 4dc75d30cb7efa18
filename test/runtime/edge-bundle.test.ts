/**
 * The edge apps must run where there is no Node and no Bun: their bundles may import nothing, and must stay small,
 * because a worker parses its whole program at a cold start.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { bundleEdge, type EdgeBundle } from './bundle.ts'

/** Connect and protobuf are 38 kB of it, the RE2 port 50 kB; 300 kB start in about 10 ms. */
const GZIP_BYTES_MAX = 300_000

/** Names that only one runtime has. `process` is there for a log that a worker never makes. */
const RUNTIME_GLOBALS = /\bBun\.|\bDeno\.|\bBuffer\.|\brequire\(/

for (const app of ['distributor', 'query-frontend']) {
  test(`${app} runs on fetch and web streams alone`, async () => {
    const { code, imports } = await bundleEdge(`apps/${app}/main.edge.ts`)
    assert.deepEqual(imports, [])
    assert.equal(RUNTIME_GLOBALS.exec(code)?.[0], undefined)
    const gzipBytes = gzipSync(code).length
    assert.ok(gzipBytes <= GZIP_BYTES_MAX, `${app} has ${gzipBytes} bytes gzip, ${GZIP_BYTES_MAX} are allowed`)
  })
}

test('the bundle answers requests by itself', async () => {
  const { code } = await bundleEdge('apps/distributor/main.edge.ts')
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
  const { imports } = await bundleEdge('apps/platform/codec.ts')
  assert.deepEqual(imports, ['apps/platform/codec.ts imports node:zlib'])
})

test('what a worker runs is what npm start runs', async () => {
  const { inputs } = await bundleEdge('apps/all-in-one/app.ts')
  const imported = new Set(inputs['apps/all-in-one/app.ts']!.imports.map(({ path }) => path))
  for (const app of ['distributor', 'query-frontend']) {
    const factory = `apps/${app}/app.ts`
    assert.ok(imported.has(factory), `all-in-one does not import ${factory}`)
    const edge = await bundleEdge(`apps/${app}/main.edge.ts`)
    assert.ok(edge.inputs[factory] !== undefined, `main.edge.ts does not lead to ${factory}`)
    // Everything below the factory, file by file: a worker has no twin of its own of any of them.
    const below = filesBelow(inputs, factory)
    assert.ok(below.size > 20, `${factory} imports ${below.size} files`)
    assert.deepEqual(
      [...below].filter((file) => edge.inputs[file] === undefined),
      [],
    )
  }
})

/** Our own files that a file imports, whatever the distance. */
function filesBelow(inputs: EdgeBundle['inputs'], from: string, found = new Set<string>()): Set<string> {
  if (found.has(from) || from.includes('node_modules') || inputs[from] === undefined) return found
  found.add(from)
  for (const { path } of inputs[from].imports) filesBelow(inputs, path, found)
  return found
}
