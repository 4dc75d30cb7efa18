/**
 * `io.pyroscope:agent` for Java: it pushes JFR recordings to `/ingest`, in a form with the labels of what it sampled, or
 * profiles of OpenTelemetry, of one event, without application and labels, whose single values are not packed.
 *
 * 1. Requests of it, kept byte for byte, are pushed: every stack of the recording is stored as the JDK's own tool reads it,
 *    once however often it comes; whole services stand behind it, over a real Postgres and files.
 * 2. Where the agent is there (`CINDER_TEST_JAVA_AGENT` names its jar, `java` 17 or later is on the path), it runs.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { startProgram } from '../../support/process.ts'
import { readRecordedStacks } from '../../support/recorded-stacks.ts'
import { startRecordingProxy } from '../../support/recording-proxy.ts'
import { askFlameGraph, askSeries, callRpc, expectOk, recentRange, type Send } from '../../support/server-client.ts'
import { createServiceStack } from '../../support/service-stack.ts'

const FIXTURES = join(import.meta.dirname, '..', '..', 'fixtures')
const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds'
const CPU_PERIOD = 10_000_000n
const ENDPOINTS = ['/checkout', '/search']
const OTLP_TYPE = 'itimer:itimer:ns:itimer:ns'
/** Of the recorded request. */
const OTLP_SUM = 410_000_000

/** By event: the profile types it becomes, of its number and of what it measures. */
const TYPES_OF: Readonly<Record<string, readonly string[]>> = {
  'jdk.ExecutionSample': [CPU],
  'jdk.ObjectAllocationInNewTLAB': [
    'memory:alloc_in_new_tlab_objects:count:space:bytes',
    'memory:alloc_in_new_tlab_bytes:bytes:space:bytes',
  ],
  'jdk.JavaMonitorEnter': ['mutex:contentions:count:mutex:count', 'mutex:delay:nanoseconds:mutex:count'],
}

/** A recorded time only grows older. */
const stack = await createServiceStack({}, undefined, { limits: { rejectOlderThanMs: 0, maxQueryLookbackMs: 0 } })
after(() => stack.close())

interface RecordedRequest {
  readonly path: string
  readonly contentType: string
}

/** Of another service, at the present time: in whole seconds, as the agent says it. */
async function pushRecorded(send: Send, service: string, nowSeconds: number): Promise<Response> {
  const folder = join(FIXTURES, 'requests', 'java-agent')
  const { path, contentType } = JSON.parse(readFileSync(join(folder, 'request.json'), 'utf8')) as RecordedRequest
  const url = new URL(path, 'http://server')
  url.searchParams.set('name', url.searchParams.get('name')!.replace('java-agent', service))
  url.searchParams.set('from', String(nowSeconds - 2))
  url.searchParams.set('until', String(nowSeconds))
  const body = Uint8Array.from(readFileSync(join(folder, 'ingest.bin')))
  return await send(`${url.pathname}${url.search}`, { method: 'POST', headers: { 'Content-Type': contentType }, body })
}

async function storedStacks(send: Send, service: string, profileTypeID: string): Promise<Map<string, bigint>> {
  const { nodes } = await askFlameGraph(send, {
    profileTypeID,
    labelSelector: `{service_name="${service}"}`,
    maxNodes: 100_000,
  })
  const withSelf = nodes.filter(({ self }) => self > 0n)
  return new Map(withSelf.map(({ path, self }) => [path.slice(1).join(';'), self]))
}

async function endpointsOf(send: Send, service: string): Promise<unknown> {
  const request = { name: 'endpoint', matchers: [`{service_name="${service}"}`], ...recentRange() }
  return (await expectOk(callRpc(send, 'querier.v1.QuerierService/LabelValues', request))).names
}

test('its recorded request is stored as the JDK reads it, with its labels, and a repetition counts once', async () => {
  const nowSeconds = Math.floor(Date.now() / 1000)
  for (let i = 0; i < 2; i++) {
    const response = await pushRecorded(stack.send, 'java-recorded', nowSeconds)
    assert.equal(response.status, 200, await response.text())
  }
  const recorded = readRecordedStacks('java-agent')
  assert.deepEqual([...recorded.keys()].sort(), Object.keys(TYPES_OF).sort())
  for (const [event, stacks] of recorded) {
    for (const [i, type] of TYPES_OF[event]!.entries()) {
      const expected = Array.from(stacks, ([text, { count, sum }]): [string, bigint] => [text, i === 0 ? count : sum])
      const scaled = type === CPU ? expected.map(([text, count]) => [text, count * CPU_PERIOD] as const) : expected
      assert.deepEqual(await storedStacks(stack.send, 'java-recorded', type), new Map(scaled), type)
    }
  }
  assert.deepEqual(await endpointsOf(stack.send, 'java-recorded'), ENDPOINTS)
})

const jar = process.env.CINDER_TEST_JAVA_AGENT

if (jar === undefined || jar === '') {
  console.log(
    'skipped: the Java agent is not installed (CINDER_TEST_JAVA_AGENT is not set): only its request is replayed',
  )
} else {
  const run = async (format: string, path: string): Promise<void> => {
    const proxy = startRecordingProxy(stack.send)
    try {
      const names = { SERVER_ADDRESS: proxy.url, APP_NAME: 'java-live', FORMAT: format }
      const env = { ...process.env, ...names, DURATION_MS: '2500', UPLOAD_MS: '1000' }
      const source = join(FIXTURES, 'programs', 'java-agent', 'Main.java')
      const running = startProgram({ command: ['java', '-cp', jar, source], env })
      await running.waitFor(/^flushed$/m)
      assert.deepEqual(await running.exited, { code: 0, signal: null }, running.output())
      assert.ok(proxy.pushes.length >= 2, `${proxy.pushes.length} requests`)
      for (const push of proxy.pushes) assert.deepEqual([push.status, push.path], [200, path])
    } finally {
      await proxy.stop()
    }
  }

  test('the real agent runs, and what it sends is accepted and answered', { timeout: 120_000 }, async () => {
    await run('JFR', '/ingest')
    for (const type of Object.values(TYPES_OF).flat()) {
      const stacks = [...(await storedStacks(stack.send, 'java-live', type)).keys()]
      const name = type.startsWith('mutex') ? /Main\.contend/ : /Main\.(?:burnPrimes|keepRecords)/
      assert.ok(
        stacks.some((text) => name.test(text)),
        `${type}: ${stacks.length} stacks`,
      )
    }
    assert.deepEqual(await endpointsOf(stack.send, 'java-live'), ENDPOINTS)
  })

  test('the real agent runs with OTLP, likewise', { timeout: 120_000 }, async () => {
    await run('OTLP', '/v1development/profiles')
    const stacks = await storedStacks(stack.send, 'unknown_service', OTLP_TYPE)
    assert.ok(
      [...stacks.keys()].some((text) => /Main\.burnPrimes/.test(text)),
      `${stacks.size} stacks`,
    )
  })
}

// After the agent itself: what it sends has the same service, which is none.
test('its recorded OTLP request is stored at its own time, with the sum of its values', async () => {
  const folder = join(FIXTURES, 'requests', 'java-agent-otlp')
  const { path, headers, timeMs } = JSON.parse(readFileSync(join(folder, 'request.json'), 'utf8')) as {
    readonly path: string
    readonly headers: Record<string, string>
    readonly timeMs: number
  }
  const body = Uint8Array.from(readFileSync(join(folder, 'export.bin')))
  const response = await stack.send(path, { method: 'POST', headers, body })
  assert.equal(response.status, 200, await response.text())
  const points = await askSeries(stack.send, {
    profileTypeID: OTLP_TYPE,
    labelSelector: '{service_name="unknown_service"}',
    step: 15,
    start: String(timeMs - 60_000),
    end: String(timeMs + 60_000),
  })
  const values = points.flatMap((each) => each.points).map(({ value }) => value)
  assert.deepEqual(values, [OTLP_SUM])
})
