/**
 * kill -9 at the worst moments, one after another on the same data: before and after the PUT of a segment, before and
 * after its commit, and in the middle of a compaction (its output written, its commit not begun or not heard).
 *
 * What was acknowledged is there, once, after every restart. What was not is there whole or not at all, and counts once
 * when its client sends it again.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { waitUntil } from '../support/process.ts'
import { buildPprof } from '../support/profiles.ts'
import { askTotal, callRpc, expectOk, pushOne, type Send } from '../support/server-client.ts'
import { makeDataDir, ROOT, type ServerProcess, startServer, waitUntilNoDatabase } from '../support/server-process.ts'

const PROGRAM = join(ROOT, 'test', 'e2e', 'kill-program.ts')

interface Pushed {
  readonly service: string
  readonly profile: Uint8Array
  readonly total: bigint
}

let made = 0

function makePush(service: string): Pushed {
  made++
  const values = [made, made * 1_000]
  const samples = values.map((value, i) => ({ stack: [`leaf${i}`, `${service}.main`], values: [value] }))
  const timeNanos = BigInt(Date.now() - 60_000) * 1_000_000n + BigInt(made)
  return { service, profile: buildPprof({ timeNanos, samples }), total: BigInt(made * 1_001) }
}

async function killAt(server: ServerProcess, point: string): Promise<string> {
  const [, what] = await server.program.waitFor(new RegExp(`^reached ${point} (\\S+)$`, 'm'))
  server.program.kill('SIGKILL')
  await server.program.exited
  return what!
}

async function assertTotals(send: Send, pushes: readonly Pushed[], when: string): Promise<void> {
  for (const { service, total } of pushes) assert.equal(await askTotal(send, service), total, `${service} ${when}`)
}

async function isAllCompacted(send: Send, job: string): Promise<boolean> {
  const ask = (method: string, request: object) =>
    expectOk(callRpc(send, `cinder.v1.${method}`, request)) as Promise<
      Record<string, { state?: string }[] & { state?: string }>
    >
  const closed = (await ask('JobService/GetJob', { jobId: job.replace('job=', '') })).job?.state
  const { jobs = [] } = await ask('JobService/ListJobs', { states: ['queued', 'running', 'parked'] })
  return (closed === 'done' || closed === 'stale') && jobs.length === 0
}

test('killed at six points in turn: what was acknowledged is there once, what was not counts once when retried (H20)', async () => {
  const dataDir = await makeDataDir()
  const acknowledged: Pushed[] = []
  const unanswered: { push: Pushed; isStored: boolean }[] = []
  const start = (point: string) => startServer(dataDir, { main: PROGRAM, settings: { KILL_POINT: point } })

  const pushSome = async (send: Send, label: string) => {
    for (const i of [1, 2, 3]) {
      const pushed = makePush(`${label}-${i}`)
      await pushOne(send, pushed.service, pushed.profile)
      acknowledged.push(pushed)
    }
  }

  let server = await start('before compaction commit')
  await pushSome(server.send, 'first')
  const killedJob = await killAt(server, 'before compaction commit')

  for (const point of ['before put', 'after put', 'before commit', 'after commit']) {
    server = await start(point)
    await assertTotals(server.send, acknowledged, `before the kill ${point}`)
    const push = makePush(point.replace(' ', '-'))
    // Its connection dies with the server.
    const answer = pushOne(server.send, push.service, push.profile).then(
      () => 'acknowledged',
      () => 'unanswered',
    )
    await killAt(server, point)
    assert.equal(await answer, 'unanswered')
    unanswered.push({ push, isStored: point === 'after commit' })
  }

  server = await start('after compaction commit')
  await assertTotals(server.send, acknowledged, 'after five kills')
  for (const { push, isStored } of unanswered)
    assert.equal(await askTotal(server.send, push.service), isStored ? push.total : 0n, `${push.service}, not retried`)
  await pushSome(server.send, 'second')
  await killAt(server, 'after compaction commit')

  server = await start('nowhere')
  await assertTotals(server.send, acknowledged, 'after six kills')
  for (const pushed of [...unanswered.map(({ push }) => push), ...acknowledged]) {
    await pushOne(server.send, pushed.service, pushed.profile)
    assert.equal(await askTotal(server.send, pushed.service), pushed.total, `${pushed.service}, retried`)
  }

  // The lease of the killed worker runs out, and one of its successors finishes its job: as it is, or, where a restart took
  // longer than the lease more than once, split in two, as jobs are that fail again.
  await waitUntil(`${killedJob} is closed, and nothing waits`, () => isAllCompacted(server.send, killedJob))
  await assertTotals(server.send, [...unanswered.map(({ push }) => push), ...acknowledged], 'after the last compaction')
  server.program.kill('SIGKILL')
  await server.program.exited
  await waitUntilNoDatabase(dataDir)
})
