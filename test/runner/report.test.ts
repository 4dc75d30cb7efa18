import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judge } from './report.ts'

const XML = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="bun test" tests="4" failures="1" skipped="1">
  <testsuite name="test/a.test.ts" file="test/a.test.ts">
    <testcase name="ok &lt;1&gt;" classname="" time="0.001" file="test/a.test.ts" line="3" assertions="0" />
    <testcase name="needs a server" classname="" time="0" file="test/a.test.ts" line="4" assertions="0">
      <skipped />
    </testcase>
    <testcase name="bad" classname="group" time="0" file="test/a.test.ts" line="5" assertions="0">
      <failure type="AssertionError" message="&quot;x&quot;">AssertionError</failure>
    </testcase>
    <testsuite name="group" file="test/b.test.ts"><testcase name="x" classname="group" file="test/b.test.ts" /></testsuite>
  </testsuite>
</testsuites>`

test('passed, failed and skipped are told apart', () => {
  const report = judge({ files: ['test/a.test.ts', 'test/b.test.ts'], xml: XML, exitCode: 1, death: '' })
  assert.equal(report.passed, 2)
  assert.deepEqual(report.failed, ['test/a.test.ts: group > bad'])
  assert.deepEqual(report.skipped, ['test/a.test.ts: needs a server'])
})

test('a file without a test is a failure', () => {
  const report = judge({ files: ['test/b.test.ts', 'test/c.test.ts'], xml: XML, exitCode: 1, death: '' })
  assert.ok(report.failed.includes('test/c.test.ts: reported no test'))
})

test('a process that died or failed without a failed test is a failure', () => {
  const passing = '<testcase name="x" classname="" file="a" />'
  const died = judge({ files: ['a'], xml: passing, exitCode: undefined, death: 'SIGSEGV' })
  assert.deepEqual(died.failed, ['a: SIGSEGV'])
  const failed = judge({ files: ['a'], xml: passing, exitCode: 7, death: '' })
  assert.deepEqual(failed.failed, ['a: exit code 7'])
  assert.deepEqual(judge({ files: ['a'], xml: '', exitCode: undefined, death: 'SIGKILL' }).failed, [
    'a: reported no test, SIGKILL',
  ])
  assert.deepEqual(judge({ files: ['a'], xml: passing, exitCode: 0, death: '' }).failed, [])
})
