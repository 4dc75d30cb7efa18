/** Lists of many label sets are made in pieces and elsewhere, and say what they would say at once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromJson, toBinary } from '@bufbuild/protobuf'
import { LARGE_SETS, LargeLists } from '../../../apps/query-frontend/large-lists.ts'
import { CinderError } from '#core/errors.ts'
import { type AnswerTask, partsOf, runAnswerTask } from '#core/query/answer-task.ts'
import { QuerierService } from '#platform/gen/querier/v1/querier_pb.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { createTestFrontend, NOW_MS } from '../../support/query-frontend.ts'

const setsOf = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ pairs: ['pod', `pod-${i}`, 'service_name', `s${i % 7}`] }))
const RANGE = { start: NOW_MS - 1_000, end: NOW_MS }
const MATCHERS = ['{service_name=~"s[1-3]"}']
const QUESTIONS: readonly (readonly [method: string, request: object])[] = [
  ['LabelNames', { ...RANGE, matchers: MATCHERS }],
  ['LabelValues', { ...RANGE, name: 'pod' }],
  ['LabelValues', { ...RANGE, name: 'pod', matchers: MATCHERS }],
  ['Series', { ...RANGE, labelNames: ['pod', 'service_name'], matchers: MATCHERS }],
]

async function ask(count: number, [method, request]: (typeof QUESTIONS)[number], type: 'json' | 'proto', tenant = 'a') {
  const asked: AnswerTask[] = []
  const worker = {
    async run(task: AnswerTask) {
      asked.push(task)
      return runAnswerTask(task)
    },
  }
  const given = { backend: {}, sets: setsOf(count), multitenancy: true }
  const { input } = QuerierService.methods.find(({ name }) => name === method)!
  const text = JSON.stringify(request)
  const body = type === 'json' ? text : (toBinary(input, fromJson(input, JSON.parse(text))) as unknown as string)
  const headers = { 'Content-Type': `application/${type}`, 'X-Scope-OrgID': tenant }
  const bytesOf = async (withWorker: boolean) => {
    const { app } = createTestFrontend(withWorker ? { ...given, answerWorker: worker } : given)
    const init = { method: 'POST', headers, body }
    const response = await app.request(`/querier.v1.QuerierService/${method}`, init)
    assert.equal(response.status, 200)
    return Buffer.from(await response.arrayBuffer())
  }
  return { here: await bytesOf(false), there: await bytesOf(true), asked }
}

test('many sets are listed where answers end, and the answer is the same', async () => {
  for (const question of QUESTIONS) {
    for (const [type, tenant] of [
      ['json', 'a'],
      ['proto', 'a'],
      ['proto', 'a|b'],
    ] as const) {
      const { here, there, asked } = await ask(LARGE_SETS + 1, question, type, tenant)
      assert.ok(here.equals(there), `${question[0]} as ${type} of ${tenant}`)
      assert.deepEqual(
        asked.map(({ kind }) => kind),
        ['label-list'],
      )
    }
  }
})

test('few sets are listed at once', async () => {
  const { here, there, asked } = await ask(LARGE_SETS, QUESTIONS[3]!, 'proto')
  assert.ok(here.equals(there))
  assert.equal(asked.length, 0)
})

test('sets are packed some at a time with turns between them, and nothing is done for a client that has gone', async () => {
  let turns = 0
  const gone = new AbortController()
  const tasks: AnswerTask[] = []
  const deps = {
    worker: { run: async (task: AnswerTask) => (tasks.push(task), new Uint8Array(0)) },
    regex: createRegexCompiler(),
    turn: async () => {
      turns++
      // The reason of a client that has gone is none of our errors: it would be logged as a fault of ours.
      if (turns === 9) gone.abort()
    },
  }
  const lists = new LargeLists(deps, { signal: gone.signal, isJson: false })
  const large = { matchers: [], list: { of: 'names', allowUtf8Names: true } } as const
  await lists.encode(setsOf(2_100), large, 'proto')
  assert.equal(turns, 4)
  assert.equal(partsOf(tasks[0]!).length, 5)
  const left = (error: unknown) => error instanceof CinderError && error.kind === 'canceled'
  await assert.rejects(lists.encode(setsOf(10_000), large, 'proto'), left)
  assert.equal(turns, 9)
  assert.equal(tasks.length, 1)
})
