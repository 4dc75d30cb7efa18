/** Metadata on a real metastore with a small limit: a label with a value per request disturbs only who asks about it. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createQueryFrontend } from '../../../apps/query-frontend/app.ts'
import { buildLabels, labelsToPairs } from '#core/labels/labels.ts'
import { typedLabels } from '#core/labels/profile-type.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { createCodec } from '#platform/codec.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { HOUR_MS, makeSegment } from '../../support/metastore-requests.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { createSqlMetastore, type SqlMetastore } from '../../support/sql-metastore.ts'
import { HandClock } from '../../support/hand-clock.ts'

const LABEL_SETS_MAX = 20
const PUSHES = 7
/** More of them than the limit in seven pushes, as 100,000 are in seven of the real size. */
const REQUESTS_PER_PUSH = 5
const REQUESTS = PUSHES * REQUESTS_PER_PUSH
const RANGE = { start: HOUR_MS, end: HOUR_MS + 1_000 }

let harness: SqlMetastore
let app: ReturnType<typeof createQueryFrontend>
before(async () => {
  harness = await createSqlMetastore({ labelSetsMax: LABEL_SETS_MAX })
  app = createQueryFrontend(
    {
      metastore: harness.metastore,
      backend: {
        stacktraces: () => Promise.reject(new Error()),
        mergeProfile: () => Promise.reject(new Error()),
        timeSeries: () => Promise.reject(new Error()),
        points: () => Promise.reject(new Error()),
      },
      regex: createRegexCompiler(),
      clock: new HandClock(HOUR_MS + 2_000),
      log: createSilentLog(),
      compression: codecCompression(createCodec()),
    },
    { multitenancy: false, limitsOf: () => DEFAULT_LIMITS },
  )
  for (let push = 0; push < PUSHES; push++) {
    const labelSets = Array.from({ length: REQUESTS_PER_PUSH }, (_, i) => ({
      tenant: 'anonymous',
      windowStartMs: HOUR_MS,
      pairs: pairsOf({ service_name: `svc-${push % 2}`, request_id: `r${push}-${i}` }),
    }))
    await harness.metastore.commitSegment({ ...makeSegment(`push-${push}`, [{ profiles: [push] }]), labelSets })
  }
})
after(() => harness.close())

function pairsOf(labels: Record<string, string>): string[] {
  const pairs = Object.entries({ __name__: 'process_cpu', ...labels }).map(([name, value]) => ({ name, value }))
  const type = { type: 'cpu', unit: 'nanoseconds', periodType: 'cpu', periodUnit: 'nanoseconds' }
  return labelsToPairs(typedLabels(buildLabels(pairs), type))
}

interface Answer {
  names: string[]
  profileTypes: { ID: string; sampleType: string }[]
  labelsSet: { labels: { name: string; value: string }[] }[]
  message: string
}

async function ask(method: string, body: object): Promise<{ status: number; body: Answer }> {
  const response = await app.request(`/querier.v1.QuerierService/${method}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ ...RANGE, ...body }),
  })
  return { status: response.status, body: (await response.json()) as Answer }
}

test('questions that do not show the label are answered', async () => {
  const { profileTypes } = (await ask('ProfileTypes', {})).body
  assert.deepEqual(
    profileTypes.map(({ ID, sampleType }) => [ID, sampleType]),
    [['process_cpu:cpu:nanoseconds:cpu:nanoseconds', 'cpu']],
  )
  const { names } = (await ask('LabelNames', {})).body
  assert.deepEqual(names.slice(-2), ['request_id', 'service_name'])
  assert.equal(names.length, 9)
  const services = { name: 'service_name', matchers: ['{__name__="process_cpu", __service_name__!="svc-1"}'] }
  assert.deepEqual((await ask('LabelValues', services)).body.names, ['svc-0'])
  const series = { labelNames: ['service_name', '__type__'], matchers: ['{service_name=~"svc.*"}'] }
  assert.deepEqual(
    (await ask('Series', series)).body.labelsSet.map(({ labels }) => labels.map(({ value }) => value).join()),
    ['cpu,svc-0', 'cpu,svc-1'],
  )
  assert.deepEqual((await ask('Series', { labelNames: ['nope'] })).body.labelsSet, [{}])
})

test('questions about the label itself are refused with the number and the way out', async () => {
  const whole = /^the range has more than 20 different label sets, the most .*: narrow the range, or ask about labels/
  const refused: [string, object, RegExp][] = [
    ['LabelValues', { name: 'request_id' }, /more than 20 different combinations of values of request_id, /],
    ['LabelNames', { matchers: ['{service_name="svc-0"}'] }, whole],
    ['Series', {}, whole],
    [
      'Series',
      { labelNames: ['service_name'], matchers: ['{request_id="r1-1"}'] },
      /combinations of values of service_name, request_id, /,
    ],
  ]
  for (const [method, body, message] of refused) {
    const answer = await ask(method, body)
    assert.equal(answer.status, 429, method)
    assert.match(answer.body.message, message)
  }
})

test('at the limit exactly the answer is whole', async () => {
  const at = harness.settings.labelSetsMax
  assert.ok(REQUESTS > at)
  const labelSets = Array.from({ length: at }, (_, i) => ({
    tenant: 'anonymous',
    windowStartMs: HOUR_MS - 7_200_000,
    pairs: pairsOf({ service_name: 'svc', pod: String(i) }),
  }))
  await harness.metastore.commitSegment({ ...makeSegment('at-limit', [{ profiles: [99] }]), labelSets })
  const range = { start: HOUR_MS - 7_200_000, end: HOUR_MS - 7_100_000 }
  assert.equal((await ask('LabelValues', { ...range, name: 'pod' })).body.names.length, at)
  assert.equal((await ask('Series', range)).body.labelsSet.length, at)
})
