/**
 * The recorded questions of a real Pyroscope server (`query`, `errors-read`, `tenancy`), sent to the edge apps on Bun, Deno
 * and workerd: what a runtime answers in another way than the others is not a matter of a runtime.
 *
 * Every difference to the recording has a reason below, the same for all three.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { prepareRuntimes, RUNTIMES, type Runtime } from '../runtime/edge-command.ts'
import { startEdge } from '../runtime/edge-process.ts'
import { startFleet } from '../runtime/fleet.ts'
import { startProgram } from '../support/process.ts'
import { makeDataDir } from '../support/server-process.ts'

const goldensDir = process.env.GOLDENS_DIR ?? ''
const fixturesDir = process.env.FIXTURES_DIR ?? join(goldensDir, '..', 'fixtures')
const replayer = join(goldensDir, '..', 'goldens-replay', 'replay.py')
const missing = goldensDir !== '' && !existsSync(replayer) ? `${replayer} is not there` : undefined
const AREAS = 'query,errors-read,tenancy'
const CASES_MIN = 25
/** The distributor's; the rest belongs to the query-frontend. */
const WRITE_PATH = /^\/(?:push\.v1\.|ingest$|pyroscope\/ingest$|v1development\/)/

/** By the request's id, which names its path, and the text of the difference. */
const REASONS: readonly { readonly why: string; readonly id: RegExp; readonly text: RegExp }[] = [
  {
    why: 'served beside a store that this fleet does not have',
    id: /\/(?:settings\.v1\.SettingsService|debuginfo\.v1alpha1\.DebuginfoService)\//,
    text: /^status: want 40\d, got 404 /,
  },
  {
    why: 'errors of OTLP are a google.rpc.Status, which has a number as its code',
    id: / \/v1development\/profiles$/,
    text: /^error code: want unauthenticated, got \{"code": 16,/,
  },
  { why: 'features that this server has, in its own words', id: /\/GetFeatureFlags$/, text: /^\.featureFlags/ },
]

interface ReplayedCase {
  readonly case: string
  readonly different: readonly (readonly [id: string, text: string])[]
}

async function replay(runtime: Runtime): Promise<ReplayedCase[]> {
  const fleet = await startFleet({ maxProfileSizeBytes: 4 * 1024 * 1024 })
  const settings = { CINDER_MULTITENANCY: 'true' }
  const [distributor, frontend] = await Promise.all([
    startEdge(runtime, 'distributor', { WRITER_URL: fleet.url, ...settings }),
    startEdge(runtime, 'query-frontend', { METASTORE_URL: fleet.url, QUERY_BACKEND_URL: fleet.url, ...settings }),
  ])
  const front = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      const { pathname, search } = new URL(request.url)
      const { url } = WRITE_PATH.test(pathname) ? distributor : frontend
      const body = request.body === null ? null : await request.arrayBuffer()
      const { method, headers } = request
      // Bodies pass as they are: what is gzip stays gzip.
      return fetch(`${url}${pathname}${search}`, { method, headers, body, decompress: false })
    },
  })
  const report = join(await makeDataDir(), 'replay.json')
  const url = `http://127.0.0.1:${front.port}`
  const flags = [`--inputs=${fixturesDir}`, `--only=${AREAS}`, `--json=${report}`]
  const program = startProgram({ command: ['python3', replayer, url, goldensDir, ...flags] })
  await program.exited
  assert.ok(existsSync(report), program.output())
  await front.stop(true)
  await Promise.all([distributor.stop(), frontend.stop()])
  await fleet.stop()
  return JSON.parse(readFileSync(report, 'utf8')) as ReplayedCase[]
}

if (goldensDir === '') {
  test('recorded questions were not asked for: GOLDENS_DIR is not set', () => {
    assert.equal(process.env.GOLDENS_DIR ?? '', '')
  })
} else {
  for (const runtime of RUNTIMES) {
    test(`${runtime} answers recorded questions as the others do (needs the replayer)`, { skip: missing }, async () => {
      prepareRuntimes()
      const cases = await replay(runtime)
      assert.ok(cases.length >= CASES_MIN, `only ${cases.length} cases were replayed`)
      const different = cases.flatMap((each) =>
        each.different.map(([id, text]) => [`${each.case} ${id}`, text] as const),
      )
      const unknown = different.filter(
        ([place, text]) => !REASONS.some((reason) => reason.id.test(place) && reason.text.test(text)),
      )
      assert.deepEqual(unknown, [])
    })
  }
}
