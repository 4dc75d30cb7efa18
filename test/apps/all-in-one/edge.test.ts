import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Hono } from 'hono'
import { createEdge } from '../../../apps/all-in-one/edge.ts'

function appNamed(name: string, paths: readonly string[]): Hono {
  const app = new Hono()
  app.use('*', async (context, next) => {
    await next()
    context.res.headers.append('through', name)
  })
  for (const path of paths) app.post(path, (context) => context.text(name))
  app.notFound((context) => context.text(`no such path in ${name}`, 404))
  return app
}

const edge = createEdge()

async function ask(method: string, path: string): Promise<string> {
  const response = await edge.app.request(path, { method })
  return `${response.status} ${await response.text()} ${response.headers.get('through')}`
}

test('before it is open everything is told to come back', async () => {
  assert.equal(await ask('GET', '/ready'), '503 starting null')
  const response = await edge.app.request('/ingest?name=x', { method: 'POST', body: 'x' })
  assert.equal(response.status, 503)
  assert.equal(response.headers.get('retry-after'), '1')
  assert.equal(((await response.json()) as { code: string }).code, 'unavailable')
  edge.open({
    distributor: appNamed('distributor', ['/ingest', '/push.v1.PusherService/Push', '/otlp/*', '/v1/:signal']),
    queryFrontend: appNamed('frontend', ['/querier.v1.QuerierService/Series', '/render']),
    operator: appNamed('operator', ['/status', '/compactor/jobs', '/cinder.v1.StatusService/GetStatus']),
  })
})

test('each path goes to the app that serves it, through its middleware alone', async () => {
  for (const path of ['/ingest?name=x', '/push.v1.PusherService/Push', '/otlp/a/b', '/v1/profiles']) {
    assert.equal(await ask('POST', path), '200 distributor distributor')
  }
  for (const path of ['/status', '/compactor/jobs', '/cinder.v1.StatusService/GetStatus']) {
    assert.equal(await ask('POST', path), '200 operator operator')
  }
  for (const path of ['/render', '/querier.v1.QuerierService/Series']) {
    assert.equal(await ask('POST', path), '200 frontend frontend')
  }
})

test('a wrong method is answered by the owner of the path, an unknown path by the frontend', async () => {
  assert.equal(await ask('GET', '/ingest'), '404 no such path in distributor distributor')
  assert.equal(await ask('GET', '/ingest/more'), '404 no such path in frontend frontend')
  assert.equal(await ask('GET', '/'), '404 no such path in frontend frontend')
})

test('/ready answers by itself', async () => {
  assert.equal(await ask('GET', '/ready'), '200 ready null')
})
