/** The command as a whole against a server of canned answers: what is sent, what is printed, exit codes. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { fromBinary } from '@bufbuild/protobuf'
import { PushRequestSchema } from '#platform/gen/push/v1/push_pb.ts'
import { cinder, connectError, NOW_MS, startFakeServer } from './cli-support.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const CPU_FILE = join(ROOT, 'test/fixtures/profiles/go-agent/cpu.pprof.gz')
const HEAP_FILE = join(ROOT, 'test/fixtures/profiles/go-agent/inuse_space.pprof.gz')
const CPU_TYPE = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds'
const HEAP_TYPE = 'memory:inuse_space:bytes:space:bytes'

const FLAMEGRAPH = {
  flamegraph: {
    names: ['total', 'main', 'work'],
    levels: [
      { values: ['0', '3000000000', '0', '0'] },
      { values: ['0', '3000000000', '1000000000', '1'] },
      { values: ['1000000000', '2000000000', '2000000000', '2'] },
    ],
    total: '3000000000',
    maxSelf: '2000000000',
  },
}

test('help, version, and what is no command', async () => {
  assert.match((await cinder(['--help'])).out, /push[\s\S]*query flamegraph[\s\S]*inspect/)
  assert.deepEqual(await cinder(['--version']), { code: 0, out: '1.2.3', err: '', progress: [] })
  const help = await cinder(['push', '--help'])
  assert.equal(help.code, 0)
  assert.match(help.out, /--url URL +address of the server \(default http:\/\/127\.0\.0\.1:4040\)/)
  assert.equal((await cinder([])).code, 2)
  const cases: [string[], RegExp][] = [
    [['frobnicate'], /^cinder: unknown command "frobnicate"; known: push, /],
    [['query', 'nothing'], /^cinder: unknown command "query nothing"; known: /],
    [['--url', 'x'], /^cinder: unknown flag --url; a command comes first, see cinder --help$/],
    [['push', CPU_FILE, '--frob'], /^cinder: unknown flag --frob; see cinder push --help$/],
    [['push', CPU_FILE, '--url', 'localhost'], /^cinder: flag --url is "localhost"; allowed: a URL such as /],
    [['query', 'series', '--from', 'never'], /^cinder: flag --from is "never"; allowed: /],
    [['query', 'labels', '--from', 'now', '--to', 'now-1h'], /^cinder: flag --from .* is after --to /],
    [['inspect', 'nonsense', '--storage', '/tmp'], /^cinder: "nonsense" is neither an object id/],
  ]
  for (const [argv, message] of cases) {
    const result = await cinder(argv)
    assert.equal(result.code, 2, argv.join(' '))
    assert.match(result.err, message)
    assert.equal(result.err.split('\n').length, 1)
    assert.equal(result.out, '')
  }
})

test('push: one request a file, the rest go on after a failure', async () => {
  const server = startFakeServer({
    Push: ({ body }) => {
      const [series] = fromBinary(PushRequestSchema, body).series
      const name = series!.labels.find((label) => label.name === '__name__')!.value
      return name === 'memory' ? connectError(400, 'invalid_argument', 'samples limit exceeded: 9 of 5') : {}
    },
  })
  const files = [CPU_FILE, HEAP_FILE, '/no/such/file', CPU_FILE]
  const flags = ['--url', server.url, '--tenant', 'team-a', '--label', 'env=dev', '--service', 'shop']
  const result = await cinder(['push', ...files, ...flags])
  assert.equal(result.code, 1)
  assert.match(
    result.out,
    /^pushed {2}.*cpu\.pprof\.gz {2}process_cpu {2}\d+ samples of samples:count, cpu:nanoseconds/,
  )
  assert.match(result.out, /\n2 pushed, 2 failed$/)
  assert.match(result.err, /failed {2}.*inuse_space\.pprof\.gz: samples limit exceeded: 9 of 5 \(status 400\)/)
  assert.match(result.err, /failed {2}\/no\/such\/file: cannot read it: /)
  assert.match(result.progress[0]!, /^pushing 1 of 4: /)
  assert.equal(server.received.length, 3)
  const [first] = server.received
  assert.equal(first!.headers.get('x-scope-orgid'), 'team-a')
  assert.equal(first!.headers.get('content-type'), 'application/proto')
  const labels = fromBinary(PushRequestSchema, first!.body).series[0]!.labels.map(({ name, value }) => [name, value])
  assert.deepEqual(labels, [
    ['__name__', 'process_cpu'],
    ['service_name', 'shop'],
    ['env', 'dev'],
  ])
})

test('push --json is one document', async () => {
  const server = startFakeServer({ Push: () => ({}) })
  const result = await cinder(['push', CPU_FILE, '/no/file', '--json', '--url', server.url])
  assert.equal(result.code, 1)
  const [pushed, failed] = JSON.parse(result.out) as Record<string, unknown>[]
  assert.deepEqual([pushed!['ok'], pushed!['name'], pushed!['timeNanos']], [true, 'process_cpu', `${NOW_MS}000000`])
  assert.equal(failed!['ok'], false)
  assert.equal(result.err, '')
})

test('a server that is not there is one sentence with its URL, and stops a push', async () => {
  const gone = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response() })
  const url = `http://127.0.0.1:${gone.port}`
  await gone.stop(true)
  for (const argv of [
    ['push', CPU_FILE, HEAP_FILE],
    ['query', 'flamegraph'],
    ['query', 'labels'],
  ]) {
    const result = await cinder([...argv, '--url', url])
    assert.deepEqual(result.err, `cinder: cannot reach ${url}: connection refused; is the server running there?`)
    assert.equal(result.code, 1)
  }
})

test('query flamegraph: chooses CPU time, asks exactly, prints the tree', async () => {
  const server = startFakeServer({
    LabelValues: () => ({ names: [HEAP_TYPE, 'process_cpu:samples:count:cpu:nanoseconds', CPU_TYPE] }),
    SelectMergeStacktraces: () => FLAMEGRAPH,
  })
  const query = '{service_name="shop"}'
  const result = await cinder(['query', 'flamegraph', '--query', query, '--max-nodes', '64', '--url', server.url])
  assert.equal(result.err, '')
  assert.deepEqual(result.out.split('\n'), [
    `${CPU_TYPE} ${query}  2026-11-21 12:00:00Z to 2026-11-21 13:00:00Z  3 s`,
    '',
    'total       %  self                    name',
    '  3 s  100.0%  0 ns  ████████████████  total',
    '  3 s  100.0%   1 s  ████████████████   main',
    '  2 s   66.7%   2 s  ██████████▋         work',
  ])
  const [types, graph] = server.received
  const start = String(NOW_MS - 3_600_000)
  const end = String(NOW_MS)
  assert.deepEqual(types!.json(), { name: '__profile_type__', matchers: [query], start, end })
  assert.deepEqual(graph!.json(), {
    profileTypeID: CPU_TYPE,
    labelSelector: query,
    start,
    end,
    format: 'PROFILE_FORMAT_FLAMEGRAPH',
    maxNodes: '64',
  })
  const json = await cinder(['query', 'flamegraph', '--type', CPU_TYPE, '--json', '--url', server.url])
  assert.deepEqual(JSON.parse(json.out), FLAMEGRAPH)
})

test('query flamegraph: an unclear choice lists the types, no data is a success', async () => {
  const two = startFakeServer({ LabelValues: () => ({ names: [HEAP_TYPE, 'wall:wall:nanoseconds::'] }) })
  const unclear = await cinder(['query', 'flamegraph', '--url', two.url])
  assert.equal(unclear.code, 2)
  assert.equal(unclear.err, `cinder: --type is needed, there are:\n  ${HEAP_TYPE}\n  wall:wall:nanoseconds::`)
  const none = startFakeServer({ LabelValues: () => ({}), SelectMergeStacktraces: () => ({}) })
  for (const flags of [[], ['--type', CPU_TYPE]]) {
    const result = await cinder(['query', 'flamegraph', ...flags, '--url', none.url])
    assert.deepEqual([result.code, result.err], [0, 'no profile matches {} from now-1h to now'])
  }
  const malformed = await cinder(['query', 'flamegraph', '--type', 'nonsense', '--url', none.url])
  assert.equal(malformed.code, 1)
  assert.match(malformed.err, /must be of the form <name>:/)
})

test("a server's refusal and nonsense are passed on as a sentence", async () => {
  const server = startFakeServer({
    LabelNames: () => connectError(400, 'invalid_argument', 'parse error: unexpected \u001b[31m"}"'),
    LabelValues: () => new Response('<html>', { status: 200 }),
    SelectSeries: () => ({ series: [{ points: 7 }] }),
  })
  const names = await cinder(['query', 'labels', '--url', server.url])
  assert.deepEqual([names.code, names.err], [1, 'cinder: parse error: unexpected ?[31m"}" (status 400)'])
  assert.match((await cinder(['query', 'types', '--url', server.url])).err, /answered .* that are no JSON$/)
  const series = await cinder(['query', 'series', '--type', CPU_TYPE, '--url', server.url])
  assert.match(series.err, /^cinder: the server's answer makes no sense: series\.0\.points: /)
  assert.equal(series.code, 1)
})

test('query series: a table with sparklines', async () => {
  const at = (minutes: number, value: number) => ({ value, timestamp: String(NOW_MS - 3_600_000 + minutes * 60_000) })
  const server = startFakeServer({
    SelectSeries: () => ({
      series: [
        { labels: [{ name: 'service_name', value: 'shop' }], points: [at(0, 4e9), at(10, 8e9), at(30, 2e9)] },
        { labels: [], points: [at(60, 1e9)] },
      ],
    }),
  })
  const flags = ['--type', CPU_TYPE, '--step', '600', '--group-by', 'service_name,env', '--group-by', 'region']
  const result = await cinder(['query', 'series', ...flags, '--url', server.url])
  assert.deepEqual(result.out.split('\n').slice(2), [
    'series             over time   sum  largest  last',
    'service_name=shop  ▅█ ▃       14 s      8 s   2 s',
    '(all)                    █     1 s      1 s   1 s',
  ])
  assert.deepEqual(server.received[0]!.json()['groupBy'], ['service_name', 'env', 'region'])
  assert.equal(server.received[0]!.json()['step'], 600)
  const many = await cinder(['query', 'series', '--type', CPU_TYPE, '--step', '0.1', '--url', server.url])
  assert.match(many.err, /flag --step is 0\.1, which makes 36000 steps; allowed: 11000 at most/)
})

test('query labels and types list names', async () => {
  const server = startFakeServer({
    LabelNames: () => ({ names: ['env', 'service.name'] }),
    LabelValues: ({ json }) => ({ names: [`value of ${json()['name']}`] }),
  })
  assert.equal((await cinder(['query', 'labels', '--url', server.url])).out, 'env\nservice.name')
  assert.equal((await cinder(['query', 'labels', 'env', '--url', server.url])).out, 'value of env')
  assert.equal((await cinder(['query', 'types', '--json', '--url', server.url])).out, '["value of __profile_type__"]')
  assert.match(server.received[0]!.headers.get('accept')!, /allow-utf8-labelnames=true/)
})

test('the launcher finds Bun from anywhere, also through links', () => {
  const directory = mkdtempSync(join(tmpdir(), 'cinder-launcher-'))
  after(() => rmSync(directory, { recursive: true }))
  symlinkSync(join(ROOT, 'apps/cli/cinder'), join(directory, 'first'))
  symlinkSync('first', join(directory, 'cinder'))
  for (const path of [join(ROOT, 'apps/cli/cinder'), join(directory, 'cinder')]) {
    const version = execFileSync(path, ['--version'], { cwd: directory, encoding: 'utf8' })
    assert.match(version, /^\d+\.\d+\.\d+\n$/)
  }
})
