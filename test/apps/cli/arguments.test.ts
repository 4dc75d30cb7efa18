import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CommandSpec, labelArgument, parseArguments, wholeNumber } from '../../../apps/cli/arguments.ts'

const SPEC: CommandSpec = {
  name: 'push',
  about: 'x',
  words: { hint: 'FILE…', min: 1, max: 2 },
  flags: {
    url: { value: 'URL', about: 'x', default: 'http://d' },
    label: { value: 'k=v', about: 'x', repeats: true },
    time: { value: 'now|keep', about: 'x', choices: ['now', 'keep'] },
    json: { about: 'x' },
  },
}

test('flags, words, defaults and repeats', () => {
  const args = parseArguments(SPEC, ['a', '--label', 'a=1', '--label=b=2', '--json', '--time', 'keep', '--', '--b'])
  assert.deepEqual(args.words, ['a', '--b'])
  assert.deepEqual(args.all('label'), ['a=1', 'b=2'])
  assert.equal(args.get('time'), 'keep')
  assert.equal(args.need('url'), 'http://d')
  assert.equal(args.has('json'), true)
  assert.equal(args.has('url'), false)
  // A value may look like a flag: times are relative.
  assert.equal(parseArguments(SPEC, ['a', '--url', '-1h']).get('url'), '-1h')
})

test('what is wrong is one sentence', () => {
  const cases: [string[], string][] = [
    [['a', '--nope'], 'unknown flag --nope; see cinder push --help'],
    [['a', '--nope=3'], 'unknown flag --nope; see cinder push --help'],
    [['a', '--toString', 'x'], 'unknown flag --toString; see cinder push --help'],
    [['a', '-x'], 'unknown flag -x; see cinder push --help'],
    [['a', '--url'], 'flag --url needs a value: URL'],
    [['a', '--json=yes'], 'flag --json takes no value, got yes'],
    [['a', '--time', 'then'], 'flag --time is "then"; allowed: now, keep'],
    [['a', '--url', 'x', '--url', 'y'], 'flag --url is given twice'],
    [[], 'cinder push needs FILE…; see cinder push --help'],
    [['a', 'b', 'c'], 'unexpected "c"; see cinder push --help'],
  ]
  for (const [argv, message] of cases) {
    assert.throws(() => parseArguments(SPEC, argv), { message, reason: 'usage' }, argv.join(' '))
  }
})

test('help needs no words', () => {
  assert.equal(parseArguments(SPEC, ['-h']).has('help'), true)
  assert.equal(parseArguments(SPEC, ['a', 'b', 'c', '--help']).has('help'), true)
})

test('numbers and labels', () => {
  assert.equal(wholeNumber('n', '7', { min: 1, max: 7 }), 7)
  for (const text of ['0', '8', '-1', '1.5', '', 'x', '1e3'])
    assert.throws(() => wholeNumber('n', text, { min: 1, max: 7 }), /flag --n is .*; allowed: 1 to 7/)
  assert.deepEqual(labelArgument('a=b=c'), { name: 'a', value: 'b=c' })
  assert.deepEqual(labelArgument('a='), { name: 'a', value: '' })
  for (const text of ['a', '=b', '']) assert.throws(() => labelArgument(text), /allowed: name=value/)
})
