/** `cinder status` against a server that answers as a metastore does: proto JSON, in which zeros are left out. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Hono } from 'hono'
import type { StatusReport } from '#core/rpc/status.ts'
import { findConcerns } from '#core/status/concerns.ts'
import { createCodec } from '#platform/codec.ts'
import { createGuardedApp } from '#platform/connect/internal-token.ts'
import { mountStatus } from '#platform/connect/status-service.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { makeBadNight, makeQuietReport } from '../../support/status-report.ts'
import { cinder } from './cli-support.ts'

const TOKEN = 'token-of-operators-0123'

function serverOf(report: StatusReport, app: Hono = new Hono()) {
  const options = { bodyLimitBytes: 1_024, compression: codecCompression(createCodec()), log: createSilentLog() }
  mountStatus(app, { getStatus: () => Promise.resolve(report) }, options)
  return { fetch: async (url: string, init: RequestInit) => await app.request(url, init) }
}

test('tables for people, nothing critical: 0', async () => {
  const { code, out, err } = await cinder(['status'], serverOf(makeQuietReport()))
  assert.equal(code, 0, err)
  assert.match(out, /^All is well\.\n\ndatabase +Postgres 15\.4, schema 7\n/)
  assert.match(out, /^L0 → L1 +3 +87\.9 KiB +1 +1\.00 MiB +0 +0 B +0 +1\.4 s ago$/m)
  assert.match(out, /^planning +replica-a +2 h ago +in 4\.0 s +4$/m)
})

test('a part of it; something critical: 1', async () => {
  const report = { ...makeBadNight(), concerns: findConcerns(makeBadNight()) }
  const { code, out } = await cinder(['status', '--view', 'ring'], serverOf(report))
  assert.equal(code, 1)
  assert.match(out, /^CRITICAL restore: /)
  assert.match(out, /^Compaction workers$/m)
  assert.doesNotMatch(out, /Compaction backlog/)
})

test('JSON is the whole report, zeros included', async () => {
  const { out } = await cinder(['status', '--json'], serverOf(makeBadNight()))
  assert.deepEqual(JSON.parse(out), makeBadNight())
})

test('colours only where the terminal has them', async () => {
  const server = serverOf(makeQuietReport())
  assert.ok(!(await cinder(['status'], server)).out.includes('\u001b'))
  assert.ok((await cinder(['status'], { ...server, hasColour: true })).out.startsWith('\u001b[32mAll is well.'))
})

test('the token goes to our own services, and never with a query', async () => {
  const guarded = serverOf(makeQuietReport(), createGuardedApp([TOKEN]))
  const refused = await cinder(['status'], guarded)
  assert.equal(refused.code, 1)
  assert.match(refused.err, /a token is needed: .*CINDER_INTERNAL_TOKEN \(status 401\)/)
  assert.equal((await cinder(['status'], { ...guarded, internalToken: TOKEN })).code, 0)
  const seen: (string | null)[] = []
  await cinder(['query', 'labels'], {
    internalToken: TOKEN,
    fetch: (_, init) => {
      seen.push(new Headers(init.headers).get('authorization'))
      return Promise.resolve(Response.json({ names: [] }))
    },
  })
  assert.deepEqual(seen, [null])
})

test('an answer that is none is a sentence', async () => {
  const { code, err } = await cinder(['status'], { fetch: () => Promise.resolve(Response.json({ nowMs: 'x' })) })
  assert.equal(code, 1)
  assert.match(err, /^cinder: the answer is no status report: /)
})
