/** A deadline years away is none, in a call and in its headers; others stay as they are. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Hono } from 'hono'
import { createCodec } from '#platform/codec.ts'
import { withoutLongTimeout } from '#platform/connect/long-timeouts.ts'
import { mountService } from '#platform/connect/server.ts'
import { PusherService } from '#platform/gen/push/v1/push_pb.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { createSilentLog } from '../../../support/silent-log.ts'

test('headers: what a timer cannot hold is left out, what it can and what is no timeout stays', () => {
  const cases: [name: string, value: string, stays: boolean][] = [
    ['Connect-Timeout-Ms', '2147483647', true],
    ['Connect-Timeout-Ms', '2147483648', false],
    ['Connect-Timeout-Ms', '9999999999', false],
    ['Connect-Timeout-Ms', '99999999999', true],
    ['Connect-Timeout-Ms', '-5', true],
    ['grpc-timeout', '596H', true],
    ['grpc-timeout', '597H', false],
    ['grpc-timeout', '35791M', true],
    ['grpc-timeout', '35792M', false],
    ['grpc-timeout', '2147483S', true],
    ['grpc-timeout', '2147484S', false],
    ['grpc-timeout', '99999999m', true],
    ['grpc-timeout', '99999999n', true],
    ['grpc-timeout', 'soon', true],
  ]
  for (const [name, value, stays] of cases) {
    const left = withoutLongTimeout(new Headers({ [name]: value, 'X-Scope-OrgID': 'a' }))
    assert.equal(left.get(name), stays ? value : null, `${name}: ${value}`)
    assert.equal(left.get('X-Scope-OrgID'), 'a')
  }
})

test('a call whose deadline is 115 days away has none, in Connect and in gRPC-Web', async () => {
  const app = new Hono()
  const deadlines: (number | undefined)[] = []
  mountService(
    app,
    PusherService,
    {
      async push(_, context) {
        deadlines.push(context.timeoutMs())
        return {}
      },
    },
    { bodyLimitBytes: 1_000, compression: codecCompression(createCodec()), log: createSilentLog() },
  )
  const call = (contentType: string, timeout: Readonly<Record<string, string>>, body: Uint8Array<ArrayBuffer>) =>
    app.request('/push.v1.PusherService/Push', {
      method: 'POST',
      headers: { 'Content-Type': contentType, ...timeout },
      body,
    })
  await call('application/proto', { 'Connect-Timeout-Ms': '9999999999' }, new Uint8Array())
  await call('application/grpc-web+proto', { 'grpc-timeout': '9999999S' }, new Uint8Array(5))
  assert.deepEqual(deadlines, [undefined, undefined])
  await call('application/proto', { 'Connect-Timeout-Ms': '20000' }, new Uint8Array())
  assert.ok(deadlines[2]! > 0 && deadlines[2]! <= 20_000, `${deadlines[2]} ms`)
})
