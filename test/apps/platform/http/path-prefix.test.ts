/** A path in front of all others: which requests lose it, and that nothing else of them changes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as v from 'valibot'
import { pathPrefixSchema, withoutPathPrefix } from '#platform/http/path-prefix.ts'

test('requests below the prefix are served as without it, others as they came', async () => {
  const seen: string[] = []
  const serve = withoutPathPrefix((request) => {
    seen.push(request.url)
    return new Response()
  }, '/profiles/eu')
  const cases: [asked: string, served: string][] = [
    ['/profiles/eu/ingest?name=a%2Fb&from=1', '/ingest?name=a%2Fb&from=1'],
    ['/profiles/eu/debuginfo.v1alpha1.DebuginfoService/Upload/ab', '/debuginfo.v1alpha1.DebuginfoService/Upload/ab'],
    ['/profiles/eu', '/'],
    ['/profiles/eu/', '/'],
    ['/ready', '/ready'],
    ['/profiles/europe/ingest', '/profiles/europe/ingest'],
    ['/x/profiles/eu/ingest', '/x/profiles/eu/ingest'],
    ['/profiles/eu/profiles/eu/ingest', '/profiles/eu/ingest'],
  ]
  for (const [asked] of cases) await serve(new Request(`http://server:4040${asked}`))
  assert.deepEqual(
    seen,
    cases.map(([, served]) => `http://server:4040${served}`),
  )
})

test('a prefix that our own paths begin with takes none of them away', async () => {
  const cases: [prefix: string, asked: string, served: string][] = [
    ['/pyroscope', '/pyroscope/render?query=a', '/pyroscope/render?query=a'],
    ['/pyroscope', '/pyroscope/label-values', '/pyroscope/label-values'],
    ['/pyroscope', '/pyroscope/pyroscope/render', '/pyroscope/render'],
    ['/pyroscope', '/pyroscope/ingest?name=a', '/pyroscope/ingest?name=a'],
    ['/pyroscope', '/pyroscope/push.v1.PusherService/Push', '/push.v1.PusherService/Push'],
    ['/pyroscope', '/pyroscope/renders', '/renders'],
    ['/api', '/api/v1/placement', '/api/v1/placement'],
    ['/api', '/api/swagger.json', '/api/swagger.json'],
    ['/api', '/api/api/v1/placement', '/api/v1/placement'],
    ['/api', '/api/v1development/profiles', '/v1development/profiles'],
  ]
  for (const [prefix, asked, served] of cases) {
    const answer = await withoutPathPrefix(
      (request) => new Response(request.url),
      prefix,
    )(new Request(`http://server${asked}`))
    assert.equal(await answer.text(), `http://server${served}`, `${prefix} ${asked}`)
  }
})

test('method, headers, a body that is still coming and the hanging up of the client pass through', async () => {
  const leaving = new AbortController()
  const arrived = Promise.withResolvers<Request>()
  const end = Promise.withResolvers<void>()
  const serve = withoutPathPrefix(async (request) => {
    arrived.resolve(request)
    return new Response(await request.text())
  }, '/p')
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      controller.enqueue(new TextEncoder().encode('first '))
      await end.promise
      controller.enqueue(new TextEncoder().encode('last'))
      controller.close()
    },
  })
  const init = { method: 'PUT', headers: { 'X-Scope-OrgID': 'a' }, body, duplex: 'half', signal: leaving.signal }
  const answer = serve(new Request('http://server/p/x', init as RequestInit))
  const request = await arrived.promise
  assert.deepEqual([request.method, request.headers.get('X-Scope-OrgID')], ['PUT', 'a'])
  end.resolve()
  assert.equal(await (await answer).text(), 'first last')
  assert.equal(request.signal.aborted, false)
  leaving.abort()
  assert.equal(request.signal.aborted, true)
})

test('without a prefix nothing is put around', () => {
  const serve = () => new Response()
  assert.equal(withoutPathPrefix(serve, undefined), serve)
})

test('what is no prefix is refused', () => {
  const takes = (text: string) => v.safeParse(pathPrefixSchema, text).success
  for (const good of ['/a', '/a/b-c/d_e.f~g', '/..a', '/v1.2']) assert.ok(takes(good), good)
  for (const bad of ['', '/', 'a', '/a/', '//a', '/a//b', '/a?b', '/a#b', '/a b', '/%61', '/.', '/..', '/a/../b', '/ä'])
    assert.ok(!takes(bad), bad)
  // No path below them could be told from ours.
  for (const own of ['/ingest', '/ready', '/status', '/metrics', '/api/v1', '/api/v1/x', '/pyroscope/render'])
    assert.ok(!takes(own), own)
  for (const near of ['/api', '/api/v2', '/pyroscope', '/ingests', '/x/ingest']) assert.ok(takes(near), near)
})
