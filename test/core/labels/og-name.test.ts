import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { labelsToPairs } from '#core/labels/labels.ts'
import { parseOgName } from '#core/labels/og-name.ts'

describe('parseOgName', () => {
  const good: [text: string, app: string, pairs: string[]][] = [
    ['app', 'app', []],
    [' my.app ', 'my.app', []],
    ['team/app-1.cpu', 'team/app-1.cpu', []],
    ['app{}', 'app', []],
    ['app{k=v,k2=v2}', 'app', ['k', 'v', 'k2', 'v2']],
    ['app.cpu{ a = b , region=eu-west 1,x.y=1,a=c}', 'app.cpu', ['a', 'c', 'region', 'eu-west 1', 'x.y', '1']],
    [
      'my.app{__session_id__=9f,otel.scope.name=com.grafana.pyroscope/go,process.runtime.version=go1.25,region=eu}',
      'my.app',
      [
        '__session_id__',
        '9f',
        'otel.scope.name',
        'com.grafana.pyroscope/go',
        'process.runtime.version',
        'go1.25',
        'region',
        'eu',
      ],
    ],
    ['app{a=b}junk', 'app', ['a', 'b']],
    ['app{a=b},c=d}', 'app', ['a', 'b']],
    ['app{a=b,c=d', 'app', ['a', 'b']],
    ['app{a=b,c', 'app', ['a', 'b']],
    ['app{a}', 'app', []],
    ['app{__name__=x}', 'x', []],
    ['app{a=}', 'app', []],
    ['app{a=b=c{}', 'app', ['a', 'b=c{']],
    ['app{a=b,}', 'app', ['a', 'b']],
  ]
  for (const [text, app, pairs] of good) {
    it(text, () => {
      const parsed = parseOgName(text)
      assert.equal(parsed.app, app)
      assert.deepEqual(labelsToPairs(parsed.labels), pairs)
    })
  }

  const bad: [text: string, message: string][] = [
    ['', 'name: service name is required'],
    ['{a=b}', 'name: service name is required'],
    ['a b.cpu', "name: invalid service name: a b.cpu: character is not allowed: ' '"],
    ['app😀', "name: invalid service name: app😀: character is not allowed: '😀'"],
    ['app.cpu{a-b=c}', "name: invalid label name: a-b: character is not allowed: '-'"],
    ['app{=v}', 'name: label name is required'],
  ]
  for (const [text, message] of bad) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(
        () => parseOgName(text),
        (error: unknown) => {
          assert.ok(error instanceof CinderError)
          assert.equal(error.kind, 'invalid_argument')
          assert.equal(error.message, message)
          return true
        },
      )
    })
  }
})
