import assert from 'node:assert/strict'
import { test } from 'node:test'
import { languageOf } from '#core/pprof/language.ts'
import { decodeProfile } from '../../support/decoded-profile.ts'

function guess(name: string, file = '', spy?: string) {
  const labels = spy === undefined ? [] : [{ name: 'pyroscope_spy', value: spy }]
  return languageOf(labels, decodeProfile({ samples: [{ stack: [[name, file, 1]], values: [1] }] }))
}

test('the agent says it, and is believed before the symbols', () => {
  const spies: [string, string | undefined][] = [
    ['gospy', 'go'],
    ['pyspy', 'python'],
    ['rbspy', 'ruby'],
    ['nodespy', 'nodejs'],
    ['javaspy', 'java'],
    ['grafana-agent.java', 'java'],
    ['dotnetspy', 'dotnet'],
    ['phpspy', 'php'],
    ['pyroscope-rs', 'rust'],
    ['toString', 'python'],
    ['other', 'python'],
  ]
  for (const [spy, language] of spies) assert.equal(guess('f', 'x.py', spy), language, spy)
})

test('without an agent the first string that looks like one language decides', () => {
  const cases: [name: string, file: string, language: string | undefined][] = [
    ['main.main', '/src/main.go', 'go'],
    ['f', '/usr/local/go/src/x', 'go'],
    ['java/lang/Thread.run', '', 'java'],
    ['sun/misc/X', '', 'java'],
    ['f', 'app.rb', 'ruby'],
    ['gems/x', '', 'ruby'],
    ['f', './node_modules/a', 'nodejs'],
    ['f', 'a.js', 'nodejs'],
    ['System.String', '', 'dotnet'],
    ['Microsoft.X', '', 'dotnet'],
    ['f', 'src/main.rs', 'rust'],
    ['f', 'core.rs', 'rust'],
    ['f', 'lib.rs', undefined],
    ['gopher', 'x.gox', undefined],
    ['', '', undefined],
    ['f.py', 'a.go', 'python'],
  ]
  for (const [name, file, language] of cases) assert.equal(guess(name, file), language, `${name} ${file}`)
})
