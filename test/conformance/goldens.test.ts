/**
 * Recorded requests and answers of a real Pyroscope server, sent to ours: where GOLDENS_DIR names them, with the program
 * that replays them beside it (`goldens-replay`, Python 3). Without them this suite does not apply.
 *
 * Every difference must have a reason of the list below, by rule and not by count: whatever this version serves and
 * answers in another way fails, and so does a reason that no difference needs any more.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { startProgram } from '../support/process.ts'
import { makeDataDir, startServer, stopServer } from '../support/server-process.ts'

const goldensDir = process.env.GOLDENS_DIR ?? ''
const fixturesDir = process.env.FIXTURES_DIR ?? join(goldensDir, '..', 'fixtures')
const AREAS = [
  'pprof-push',
  'pprof-ingest',
  'text',
  'speedscope',
  'otlp',
  'jfr-ingest',
  'query',
  'errors-write',
  'errors-read',
  'tenancy',
]

interface GoldenRequest {
  readonly id?: string
  readonly rpc?: string
  readonly path?: string
  readonly body?: unknown
  readonly grpc?: boolean
}

interface GoldenCase {
  readonly case: string
  readonly writes: readonly GoldenRequest[]
  readonly queries: readonly GoldenRequest[]
}

interface Difference {
  readonly golden: GoldenCase
  readonly request: GoldenRequest
  readonly text: string
}

/** Cases whose profiles are Go's with stacks cut off at the root. */
const GO_CASES = new RegExp('^pprof-(?:push|ingest)/(?:heap|heap-gz|heap-pb-raw|cpu-go-truncated-1)$')
/** Mending changes paths, never the sum of all. */
const ROOT_DIFFERS = "(('total',)"

const REASONS: { readonly why: string; readonly holds: (difference: Difference) => boolean }[] = [
  {
    why: 'features that this server has, in its own words',
    holds: ({ request, text }) => pathOf(request).endsWith('/GetFeatureFlags') && text.startsWith('.featureFlags'),
  },
  {
    why: 'OTLP answers in the encoding of its request: JSON to JSON, and errors as google.rpc.Status',
    holds: ({ request, text }) =>
      pathOf(request) === '/v1development/profiles' &&
      /^content type: want .*, got application\/(?:json|x-protobuf)$/.test(text),
  },
  {
    why: 'booleans and doubles are labels of a profile as texts and numbers are',
    holds: ({ golden, request }) =>
      golden.case === 'otlp/synthetic-attributes' && /^(?:Label|Series)/.test(request.id ?? ''),
  },
  {
    why: 'a profile without a period type is named for its sample type instead of refused',
    holds: ({ golden }) => golden.case === 'otlp/synthetic-no-period-type',
  },
  {
    why: 'a JFR recording may be gzip as a whole body too',
    holds: ({ golden }) => golden.case === 'jfr-ingest/raw-body-gzipped',
  },
  {
    why: 'of several stacks that could lend a cut one its root the peer takes whichever an unstable sort put first',
    holds: ({ golden, text }) =>
      /^(?:nodes \(path, total, self\)|pprof line)/.test(text) &&
      GO_CASES.test(golden.case) &&
      !text.includes(ROOT_DIFFERS),
  },
  {
    why: 'a graph of calls of mended stacks, cut to 32 nodes',
    holds: ({ golden, request, text }) =>
      text.startsWith('dot nodes') && request.id?.startsWith('render-dot') === true && GO_CASES.test(golden.case),
  },
  {
    why: 'what is made of stacks in text says that its mapping has functions',
    holds: ({ golden, text }) =>
      /^(?:text|speedscope)\//.test(golden.case) && text.endsWith('build_id= flags=, got  0 0-0@0  build_id= flags=F'),
  },
  {
    why: 'weights without a unit are counts',
    holds: ({ golden }) => golden.case === 'speedscope/simple' || golden.case === 'speedscope/two-units-none',
  },
]

function pathOf({ rpc, path }: GoldenRequest): string {
  return rpc === undefined ? (path ?? '') : `/${rpc}`
}

interface ReplayedCase {
  readonly case: string
  readonly requests: number
  readonly different: readonly (readonly [id: string, text: string])[]
  readonly allowed: readonly unknown[]
}

/** A difference names its request by `write <number>`, by its id, or by its number among the queries. */
function describeDifferences(replayed: ReplayedCase): Difference[] {
  const golden = JSON.parse(readFileSync(join(goldensDir, `${replayed.case}.json`), 'utf8')) as GoldenCase
  return replayed.different.map(([id, text]) => {
    const write = /^write (\d+)$/.exec(id)?.[1]
    const request =
      write === undefined
        ? (golden.queries.find((query) => query.id === id) ?? golden.queries[Number(id)])
        : golden.writes[Number(write)]
    assert.ok(request, `${replayed.case} has no request ${id}`)
    return { golden, request, text }
  })
}

async function replay(): Promise<ReplayedCase[]> {
  const dataDir = await makeDataDir()
  const settings = { CINDER_MULTITENANCY: 'true', CINDER_LIMITS: '{"ingestionRateBytes":0}' }
  const server = await startServer(dataDir, { settings })
  const report = join(dataDir, 'replay.json')
  const program = startProgram({
    command: [
      'python3',
      replayer,
      server.url,
      goldensDir,
      `--inputs=${fixturesDir}`,
      `--only=${AREAS}`,
      `--json=${report}`,
    ],
  })
  await program.exited
  assert.ok(existsSync(report), program.output())
  const cases = JSON.parse(readFileSync(report, 'utf8')) as ReplayedCase[]
  await stopServer(server, dataDir)
  return cases
}

const replayer = join(goldensDir, '..', 'goldens-replay', 'replay.py')
const missing = goldensDir !== '' && !existsSync(replayer) ? `${replayer} is not there` : undefined

if (goldensDir === '') {
  test('recorded answers were not asked for: GOLDENS_DIR is not set', () => {
    assert.equal(process.env.GOLDENS_DIR ?? '', '')
  })
} else {
  test('every difference to the recorded answers has a known reason (needs the replayer)', {
    skip: missing,
  }, async () => {
    const cases = await replay()
    const counts = new Map(REASONS.map(({ why }) => [why, 0]))
    const unexplained: string[] = []
    for (const replayed of cases) {
      for (const difference of describeDifferences(replayed)) {
        const reason = REASONS.find(({ holds }) => holds(difference))
        if (reason === undefined)
          unexplained.push(
            `${replayed.case} ${difference.request.id ?? pathOf(difference.request)}: ${difference.text}`,
          )
        else counts.set(reason.why, counts.get(reason.why)! + 1)
      }
    }
    const requests = cases.reduce((sum, each) => sum + each.requests, 0)
    const equal = cases.filter(({ different }) => different.length === 0).length
    console.log(`${cases.length} recorded cases, ${requests} requests: ${equal} cases equal`)
    for (const [why, count] of counts) console.log(`${String(count).padStart(5)} differ: ${why}`)
    assert.deepEqual(unexplained, [])
    assert.ok(cases.length >= 180, `only ${cases.length} cases were replayed`)
    assert.deepEqual(
      [...counts].filter(([, count]) => count === 0),
      [],
      'reasons that nothing needs',
    )
  })
}
