/** Commands that show points, exemplars, extents and label sets; the flags that choose samples; what a wait shows. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromBinary } from '@bufbuild/protobuf'
import { SelectMergeProfileRequestSchema } from '#platform/gen/querier/v1/querier_pb.ts'
import { cinder, NOW_MS, startFakeServer } from './cli-support.ts'

const TYPE = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds'
const START_MS = NOW_MS - 3_600_000
const Y_MIN = Array.from({ length: 20 }, (_, i) => i * 1_000_000)
const counts = (...at: [range: number, count: number][]) =>
  Y_MIN.map((_, i) => at.find(([range]) => range === i)?.[1] ?? 0)
const isNobody = (json: Record<string, unknown>): boolean => JSON.stringify(json).includes('nobody')
const server = startFakeServer({
  LabelValues: () => ({ names: [TYPE] }),
  SelectHeatmap: ({ json }) =>
    isNobody(json())
      ? {}
      : {
          series: [
            {
              labels: [{ name: 'pod', value: 'a\u0007' }],
              slots: [
                { timestamp: String(START_MS), yMin: Y_MIN, counts: counts([0, 4]) },
                { timestamp: String(NOW_MS), yMin: Y_MIN, counts: counts([19, 1]) },
              ],
            },
          ],
        },
  SelectSeries: ({ json }) =>
    isNobody(json())
      ? {}
      : {
          series: [
            {
              labels: [{ name: 'pod', value: 'a' }],
              points: [
                {
                  exemplars: [
                    { timestamp: START_MS, profileId: 'low', value: '5', labels: [{ name: 'zone', value: 'z' }] },
                  ],
                },
                {
                  exemplars: [
                    {
                      timestamp: String(NOW_MS),
                      profileId: 'high',
                      value: '9007199254740993',
                      labels: [{ name: '__x__', value: 'y' }],
                    },
                  ],
                },
              ],
            },
          ],
        },
  AnalyzeQuery: () => ({
    queryScopes: [
      {
        componentType: 'Long term storage',
        blockCount: '3',
        seriesCount: '12',
        profileCount: '4000',
        indexBytes: '2048',
        profileBytes: '4096',
      },
    ],
    queryImpact: { totalBytesInTimeRange: '6144' },
  }),
  GetProfileStats: ({ headers }) =>
    headers.get('x-scope-orgid') === 'new'
      ? {}
      : { dataIngested: true, oldestProfileTime: String(START_MS), newestProfileTime: String(NOW_MS) },
  Series: ({ json }) =>
    isNobody(json())
      ? {}
      : {
          labelsSet: [
            {
              labels: [
                { name: 'pod', value: 'a"b' },
                { name: 'zone', value: '' },
              ],
            },
          ],
        },
  SelectMergeProfile: () => new Response(Uint8Array.of(1)),
  SelectMergeStacktraces: () => ({
    flamegraph: { names: ['total', 'main'], levels: [{ values: [0, 5, 0, 0] }, { values: [0, 5, 5, 1] }] },
  }),
})

const run = (words: string[], shell = {}) => cinder(['query', ...words, '--url', server.url], shell)
const asked = (procedure: string) => server.received.findLast((each) => each.procedure === procedure)!

test('query heatmap: a row for each range of values, largest on top, the fullest cell darkest', async () => {
  const { code, out } = await run(['heatmap', '--spans', '--group-by', 'pod', '--step', '60'])
  assert.equal(code, 0)
  const lines = out.split('\n')
  assert.match(lines[2]!, /^pod=a\?  5 spans$/)
  const rows = lines.slice(3, 23)
  assert.match(rows[0]!, /^19 ms │ {59}░$/)
  assert.match(rows[19]!, /^ 0 ns │█ {59}$/)
  const { queryType, step, groupBy } = asked('SelectHeatmap').json()
  assert.deepEqual([queryType, step, groupBy], ['HEATMAP_QUERY_TYPE_SPAN', 60, ['pod']])
  assert.match((await run(['heatmap', '--query', '{a="nobody"}'])).err, /^no profile matches/)
  assert.equal((await run(['heatmap', '--limit', '0'])).code, 2)
  assert.equal(asked('SelectHeatmap').json()['queryType'], 'HEATMAP_QUERY_TYPE_INDIVIDUAL')
})

test('query exemplars: highest first, ids and labels beside; beyond 2^53 the order is exact', async () => {
  const { code, out, err } = await run(['exemplars', '--lines', '1'])
  assert.equal(code, 0)
  const lines = [' value  time                  profile    labels', '2502 h  2026-11-21 13:00:00Z  high       pod=a']
  assert.deepEqual(out.split('\n').slice(2), lines)
  assert.equal(err, '1 more; see --lines')
  assert.equal(asked('SelectSeries').json()['exemplarType'], 'EXEMPLAR_TYPE_INDIVIDUAL')
  await run(['exemplars', '--spans', '--json'])
  assert.equal(asked('SelectSeries').json()['exemplarType'], 'EXEMPLAR_TYPE_SPAN')
  assert.match((await run(['exemplars', '--query', '{a="nobody"}'])).err, /^no profile matches/)
})

test('query analyze and stats tell what there is', async () => {
  const { out } = await run(['analyze'])
  assert.match(out, /Long term storage +3 +12 +4,000 +0 +2 KiB +4 KiB$/)
  assert.deepEqual(asked('AnalyzeQuery').json()['query'], `${TYPE}{}`)
  assert.equal((await run(['stats'])).out, 'profiles from 2026-11-21 12:00:00Z to 2026-11-21 13:00:00Z')
  const none = await run(['stats', '--tenant', 'new'])
  assert.deepEqual([none.code, none.out, none.err], [0, '', 'no profile has been stored'])
  assert.equal((await run(['stats', '--tenant', 'new', '--json'])).out, '{}')
})

test('query label-sets: a line for each set', async () => {
  assert.equal((await run(['label-sets', 'pod', 'zone'])).out, String.raw`{pod="a\"b", zone=""}`)
  assert.deepEqual(asked('Series').json()['labelNames'], ['pod', 'zone'])
  assert.match((await run(['label-sets', '--query', '{a="nobody"}'])).err, /^no profile matches/)
})

test('samples are chosen by profile, span, trace and call site, in every form of a query', async () => {
  const words = ['--profile', 'p1', '--profile', 'p2', '--call-site', 'main', '--call-site', 'work']
  await run(['flamegraph', ...words, '--span', '00000000000000a1'])
  const { profileIdSelector, spanSelector, stackTraceSelector } = asked('SelectMergeStacktraces').json()
  assert.deepEqual([profileIdSelector, spanSelector], [['p1', 'p2'], ['00000000000000a1']])
  assert.deepEqual(stackTraceSelector, { callSite: [{ name: 'main' }, { name: 'work' }] })
  await run(['pprof', ...words, '--trace', 't'], { writeFile: async () => undefined })
  const message = fromBinary(SelectMergeProfileRequestSchema, asked('SelectMergeProfile').body)
  assert.deepEqual([message.profileIdSelector, message.traceIdSelector], [['p1', 'p2'], ['t']])
  assert.deepEqual(
    message.stackTraceSelector?.callSite.map(({ name }) => name),
    ['main', 'work'],
  )
  await run(['series', '--average', '--call-site', 'main', '--json'])
  const series = asked('SelectSeries').json()
  assert.deepEqual(
    [series['aggregation'], series['stackTraceSelector']],
    ['TIME_SERIES_AGGREGATION_TYPE_AVERAGE', { callSite: [{ name: 'main' }] }],
  )
  assert.equal((await run(['flamegraph', '--span', 'a', '--trace', 'b'])).code, 2)
})

test('a query that takes longer shows for how long, and how much it reads', async () => {
  const ticks: (() => void)[] = []
  let stopped = 0
  let nowMs = NOW_MS
  const shown: string[] = []
  const result = await run(['flamegraph', '--type', TYPE], {
    nowMs: () => nowMs,
    every: (_: number, tick: () => void) => {
      ticks.push(tick)
      return () => void stopped++
    },
    progress: (text: string) => void shown.push(text),
    fetch: async (url: string, init: RequestInit) => {
      const response = await fetch(url, init)
      if (url.endsWith('AnalyzeQuery')) return response
      nowMs += 2_400
      ticks[0]!()
      assert.equal(shown.at(-1), 'waiting, 2 s')
      // The server tells when it tells: the clock ticks until then.
      while (shown.at(-1) !== 'reading up to 6 KiB in 3 blocks, 2 s') {
        await new Promise(setImmediate)
        ticks[0]!()
      }
      return response
    },
  })
  assert.equal(shown.at(-1), '', 'the line is gone when the answer is there')
  assert.deepEqual([result.code, stopped], [0, 1])
})

test('query flamegraph --async asks how its run stands until it has ended, whatever is lost on the way', async () => {
  const graph = {
    flamegraph: { names: ['total', 'main'], levels: [{ values: [0, 5, 0, 0] }, { values: [0, 5, 5, 1] }] },
  }
  const state = (status: string, more = {}) => ({
    async: { requestId: 'R', status: `ASYNC_QUERY_STATUS_${status}`, ...more },
  })
  const asked: unknown[] = []
  const ask = async (...answers: (object | Error)[]) => {
    asked.length = 0
    let slept = 0
    const result = await run(['flamegraph', '--type', TYPE, '--async'], {
      sleep: async () => void slept++,
      fetch: async (_: string, init: RequestInit) => {
        asked.push((JSON.parse(String(init.body)) as { async: unknown }).async)
        const answer = answers[asked.length - 1]!
        if (answer instanceof Error) throw answer
        return Response.json(answer)
      },
    })
    return { ...result, slept }
  }
  const [running, done] = [state('IN_PROGRESS'), { ...graph, ...state('SUCCESS') }]
  const { code, out, slept } = await ask(running, running, new TypeError('reset'), done)
  assert.deepEqual([code, slept], [0, 3])
  assert.match(out, /main/)
  assert.deepEqual(asked, [
    { type: 'ASYNC_QUERY_TYPE_FORCE' },
    { requestId: 'R' },
    { requestId: 'R' },
    { requestId: 'R' },
  ])
  const failed = await ask(running, state('FAILURE', { errorMessage: 'too much' }))
  assert.deepEqual([failed.code, failed.err], [1, 'cinder: the query has failed: too much'])
  assert.equal((await ask(graph)).code, 0, 'a server that does not know it has answered')
})
