import assert from 'node:assert/strict'
import { test } from 'node:test'
import { firstReachable } from '../../../apps/query-frontend/first-reachable.ts'

function setUp() {
  const dead = new Set<string>()
  const asked: string[] = []
  const options = firstReachable(['http://a/x/', 'http://b', 'http://c'], {
    token: 'kept',
    fetch: async (url) => {
      asked.push(url)
      if (dead.has(new URL(url).hostname)) throw new TypeError('connection refused')
      return new Response(url)
    },
  })
  const ask = async (init: RequestInit = {}) => (await options.fetch!('http://a/x/Service/Method', init)).text()
  return { dead, asked, ask, options }
}

test('the first that answers, and from then on that one', async () => {
  const { dead, asked, ask, options } = setUp()
  assert.equal(options.token, 'kept')
  assert.equal(await ask(), 'http://a/x/Service/Method')
  dead.add('a')
  assert.equal(await ask(), 'http://b/Service/Method')
  assert.equal(await ask(), 'http://b/Service/Method')
  assert.equal(asked.length, 4)
  dead.add('b').add('c')
  await assert.rejects(ask(), /connection refused/)
  assert.equal(asked.length, 7)
})

test('a stream is sent once, and a caller that left asks nobody', async () => {
  const { dead, asked, ask } = setUp()
  dead.add('a')
  await assert.rejects(ask({ body: new ReadableStream() }))
  assert.equal(asked.length, 1)
  dead.add('b')
  await assert.rejects(ask({ signal: AbortSignal.abort() }))
  assert.equal(asked.length, 2)
})
