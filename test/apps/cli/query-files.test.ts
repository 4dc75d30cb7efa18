import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromBinary } from '@bufbuild/protobuf'
import { SelectMergeProfileRequestSchema } from '#platform/gen/querier/v1/querier_pb.ts'
import { cinder, NOW_MS, startFakeServer } from './cli-support.ts'

const TYPE = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds'
const PPROF = Uint8Array.of(10, 4, 8, 1, 16, 2)
const DOT = 'digraph "unnamed" {\n}\n'
const server = startFakeServer({
  LabelValues: ({ json }) => ({ names: JSON.stringify(json()).includes('nobody') ? [] : [TYPE] }),
  SelectMergeProfile: ({ headers }) =>
    headers.get('content-type') === 'application/proto' ? new Response(PPROF) : { sample: [] },
  SelectMergeStacktraces: ({ json }) => (json()['maxNodes'] === '7' ? {} : { dot: DOT }),
  Diff: () => ({
    flamegraph: {
      names: ['total', 'main', 'sort\u0007', 'idle'],
      levels: [
        { values: ['0', '100', '0', '0', '1000', '0', '0'] },
        { values: ['0', '50', '50', '0', '200', '200', '1', '0', '10', '10', '0', '700', '700', '2'] },
        { values: ['60', '40', '40', '900', '100', '100', 3] },
      ],
      leftTicks: '100',
      rightTicks: 1000,
    },
  }),
})

const run = (words: string[], files = new Map<string, Uint8Array>()) =>
  cinder(['query', ...words, '--url', server.url], {
    writeFile: async (path, bytes) => void files.set(path, bytes),
  })

test('query pprof writes the bytes that the server sends', async () => {
  const files = new Map<string, Uint8Array>()
  const words = ['pprof', '--query', '{a="b"}', '--from', 'now-1h', '--max-nodes', '50', '--output', 'x.pprof']
  const { code, out, err } = await run(words, files)
  assert.deepEqual([code, out], [0, ''])
  assert.match(err, /process_cpu.* \{a="b"\}.*6 B in x\.pprof/)
  assert.deepEqual([...files], [['x.pprof', PPROF]])
  const { body } = server.received.findLast(({ procedure }) => procedure === 'SelectMergeProfile')!
  const { $typeName: _, ...request } = fromBinary(SelectMergeProfileRequestSchema, body)
  assert.deepEqual(request, {
    profileTypeID: TYPE,
    labelSelector: '{a="b"}',
    start: BigInt(NOW_MS - 3_600_000),
    end: BigInt(NOW_MS),
    maxNodes: 50n,
    profileIdSelector: [],
    traceIdSelector: [],
  })
})

test('query pprof --json prints the answer and writes nothing; no data is no file', async () => {
  const files = new Map<string, Uint8Array>()
  assert.equal((await run(['pprof', '--json'], files)).out, '{"sample":[]}')
  const nothing = await run(['pprof', '--query', '{a="nobody"}'], files)
  assert.deepEqual([nothing.code, nothing.err.startsWith('no profile matches')], [0, true])
  assert.equal(files.size, 0)
})

test('query dot prints the graph, or writes it', async () => {
  const files = new Map<string, Uint8Array>()
  assert.equal((await run(['dot'], files)).out, DOT.trimEnd())
  assert.equal((await run(['dot', '--output', 'g.dot'], files)).out, '')
  assert.equal(new TextDecoder().decode(files.get('g.dot')), DOT)
  assert.equal((await run(['dot', '--json'])).out, JSON.stringify({ dot: DOT }))
  assert.match((await run(['dot', '--max-nodes', '7'])).err, /^no profile matches/)
  assert.equal((await run(['dot', '--max-nodes', '0'])).code, 2)
})

test('query diff lists shares of each side, largest change first, names made safe', async () => {
  const { code, out, err } = await run(['diff', '--base-from', 'now-1d', '--base-to', 'now-23h', '--lines', '2'])
  assert.equal(code, 0)
  const lines = out.split('\n')
  assert.match(lines[0]!, /^baseline .*2026-11-20/)
  assert.match(lines[1]!, /^compared /)
  assert.deepEqual(lines.slice(3), [
    ' change  before   after  function',
    '+60.00%  10.00%  70.00%  sort?',
    '-30.00%  40.00%  10.00%  idle',
  ])
  assert.equal(err, '1 more functions; see --lines')
  const { left, right } = server.received.findLast(({ procedure }) => procedure === 'Diff')!.json() as {
    left: Record<string, string>
    right: Record<string, string>
  }
  assert.deepEqual([left['start'], left['end']], [String(NOW_MS - 86_400_000), String(NOW_MS - 82_800_000)])
  assert.deepEqual([right['start'], right['end']], [String(NOW_MS - 3_600_000), String(NOW_MS)])
})
