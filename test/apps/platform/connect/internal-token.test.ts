import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createUnaryCall } from '#platform/connect/client.ts'
import { createGuardedApp, refuseChanges } from '#platform/connect/internal-token.ts'
import { StatusService } from '#platform/gen/cinder/v1/status_pb.ts'

const TOKENS = ['token-to-send-0123456789', 'token-to-accept-too-0123']

function appWith(tokens: readonly string[]) {
  const app = createGuardedApp(tokens)
  for (const path of ['/ready', '/status', '/metrics']) app.get(path, (context) => context.text('served'))
  return app
}

async function ask(authorization: string | undefined, path = '/status', accept = '*/*'): Promise<Response> {
  const headers = { accept, ...(authorization === undefined ? {} : { authorization }) }
  return await appWith(TOKENS).request(path, { headers })
}

test('each accepted token opens every route, as bearer or as a password', async () => {
  for (const token of TOKENS) {
    for (const authorization of [`Bearer ${token}`, `bearer  ${token}`, `Basic ${btoa(`me:${token}`)}`]) {
      assert.equal((await ask(authorization)).status, 200, authorization)
    }
  }
})

test('anything else is 401 with a sentence that holds no token', async () => {
  const [first] = TOKENS as [string, string]
  for (const authorization of [
    undefined,
    '',
    'Bearer',
    'Bearer ',
    `Bearer ${first}x`,
    `Bearer ${first.slice(1)}`,
    `Bearer ${first}${first}`,
    `Bearer ${first.toUpperCase()}`,
    `Bearer ${first},${TOKENS[1]}`,
    `Token ${first}`,
    'Basic %%%',
    `Basic ${btoa(first.slice(2))}`,
    `Basic ${btoa(`${first}:`)}`,
  ]) {
    const response = await ask(authorization)
    assert.equal(response.status, 401, String(authorization))
    const body = await response.text()
    assert.equal((JSON.parse(body) as { code: string }).code, 'unauthenticated')
    assert.ok(!TOKENS.some((token) => body.includes(token)))
  }
})

test('a browser is asked for a password, a program is not', async () => {
  assert.equal(
    (await ask(undefined, '/status', 'text/html,*/*')).headers.get('www-authenticate'),
    'Basic realm="Cinderblock"',
  )
  assert.equal((await ask(undefined)).headers.get('www-authenticate'), 'Bearer')
})

test('/ready is open, and an app without tokens is', async () => {
  assert.equal((await ask(undefined, '/ready')).status, 200)
  assert.equal((await ask(undefined, '/metrics')).status, 401)
  assert.equal((await appWith([]).request('/status')).status, 200)
})

test('a service whose token is refused has an outage, not a client with bad credentials', async () => {
  const app = appWith(TOKENS)
  const calls: (string | null)[] = []
  const send = async (url: string, init: RequestInit) => {
    calls.push(new Headers(init.headers).get('authorization'))
    return await app.request(url, init)
  }
  const call = createUnaryCall('http://metastore', { token: 'some-other-token-0123', fetch: send })
  await assert.rejects(call(StatusService.method.getStatus, {}), {
    kind: 'unavailable',
    outcome: 'not-applied',
    reason: 'internal_token',
    message: 'cinder.v1.StatusService/GetStatus refused our internal token: CINDER_INTERNAL_TOKEN differs there',
  })
  assert.deepEqual(calls, ['Bearer some-other-token-0123'])
})

test('where strangers reach a server without a token they may look and change nothing', async () => {
  const app = createGuardedApp([])
  app.use('*', refuseChanges('set a token'))
  app.all('*', (context) => context.text('served'))
  for (const path of ['/status', '/metrics', '/compactor/jobs', '/cinder.v1.StatusService/GetStatus', '/ready']) {
    assert.equal((await app.request(path, { method: 'POST' })).status, 200, path)
  }
  for (const service of ['TenantService/DeleteTenant', 'JobService/ParkJob', 'RecoveryService/StartRecovery']) {
    const response = await app.request(`/cinder.v1.${service}`, { method: 'POST', body: '{}' })
    assert.equal(response.status, 403, service)
    assert.match(await response.text(), /set a token/)
  }
})
