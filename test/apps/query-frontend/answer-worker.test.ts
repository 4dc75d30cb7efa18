/** Answers that are made elsewhere: the same for every question, and for as long as the client is there. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { encodeTree, FunctionTree } from '#core/flamegraph/tree.ts'
import { type AnswerTask, type AnswerWorker, runAnswerTask } from '#core/query/answer-task.ts'
import { StackProfile } from '#core/query/stack-profile.ts'
import { allocateInt64Column } from '#core/wire/int64.ts'
import { type Answers, createTestFrontend, NO_COST, NOW_MS } from '../../support/query-frontend.ts'
import { symbolsOf } from '../../support/symbols.ts'

const TYPE = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds'
const QUERY = { start: NOW_MS - 600_000, end: NOW_MS, profileTypeID: TYPE, labelSelector: '{}' }
const MERGE = 'querier.v1.QuerierService/SelectMergeStacktraces'
const RENDER = `query=${encodeURIComponent(`${TYPE}{}`)}&from=now-10m&until=now`
const SIDES = ['left', 'right'].map((side) =>
  RENDER.replace(/(query|from|until)=/g, (_, name: string) => {
    return `${side}${name[0]!.toUpperCase()}${name.slice(1)}=`
  }),
)

const QUESTIONS: readonly (readonly [path: string, body?: object])[] = [
  [MERGE, QUERY],
  [MERGE, { ...QUERY, format: 'PROFILE_FORMAT_TREE' }],
  [MERGE, { ...QUERY, format: 'PROFILE_FORMAT_PPROF' }],
  [MERGE, { ...QUERY, format: 'PROFILE_FORMAT_DOT' }],
  ['querier.v1.QuerierService/SelectMergeSpanProfile', QUERY],
  ['querier.v1.QuerierService/SelectMergeProfile', QUERY],
  ['querier.v1.QuerierService/SelectSeries', { ...QUERY, step: 15 }],
  ['querier.v1.QuerierService/SelectHeatmap', { ...QUERY, step: 15, queryType: 'HEATMAP_QUERY_TYPE_INDIVIDUAL' }],
  ['querier.v1.QuerierService/Diff', { left: QUERY, right: QUERY }],
  [`pyroscope/render?${RENDER}`],
  [`pyroscope/render?${RENDER}&format=dot`],
  [`pyroscope/render-diff?${SIDES.join('&')}`],
]

function treePart(): Uint8Array {
  const tree = new FunctionTree()
  tree.addSelf(tree.child(0, tree.internText('main')), 7, 0)
  return encodeTree(tree)
}

function stackPart(): Uint8Array {
  const sums = allocateInt64Column(1)
  sums.lo[0] = 7
  const profile = new StackProfile()
  profile.add({ symbols: symbolsOf([['leaf', 'main']]), sums })
  return profile.encode()
}

const series = { labels: [{ name: 'pod', value: 'a' }], stepIndexes: [1], sums: [7n], counts: [1] }
const points = { labels: [], steps: [1], values: [7n], counts: [1], exemplars: [] }
const backend: Answers['backend'] = {
  stacktraces: async () => ({ tree: treePart(), stats: NO_COST, selected: true, filtered: true }),
  mergeProfile: async () => ({ stacks: stackPart(), stats: NO_COST, filtered: true }),
  timeSeries: async () => ({ series: [series], stats: NO_COST, selected: true, filtered: true }),
  points: async () => ({ series: [points], stats: NO_COST, filtered: true }),
}

async function ask([path, body]: (typeof QUESTIONS)[number], answerWorker?: AnswerWorker) {
  const { app } = createTestFrontend({ backend, ...(answerWorker === undefined ? {} : { answerWorker }) })
  const init = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }
  const response = await app.request(`/${path}`, body === undefined ? {} : init)
  return { status: response.status, text: await response.text() }
}

/** As threads are: the task is copied and its parts are gone; who has left gets nothing. */
function elsewhere(tasks: AnswerTask[]): AnswerWorker {
  return {
    async run(task, signal) {
      const copy = structuredClone(task)
      await Promise.resolve()
      if (signal?.aborted === true) throw new CinderError('canceled', 'the client has gone')
      tasks.push(copy)
      return runAnswerTask(copy)
    },
  }
}

for (const question of QUESTIONS) {
  const [path, body] = question
  const format = (body as { format?: string } | undefined)?.format ?? ''
  test(`${path.replace(/\?.*(?:&(format=.*))?$/, ' $1')} ${format} is answered elsewhere as here`, async () => {
    const tasks: AnswerTask[] = []
    const there = await ask(question, elsewhere(tasks))
    assert.deepEqual([there.status, tasks.length > 0], [200, true], there.text)
    // `1haW4` is a part of `main` in base64.
    assert.match(there.text, /main|1haW4|"7"|:7|\b7\b/)
    assert.deepEqual(there, await ask(question))
  })
}
