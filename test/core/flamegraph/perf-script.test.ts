import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readPerfScript } from '#core/flamegraph/perf-script.ts'
import { treeStacks } from '../../support/write-path.ts'

const stacksOf = (text: string) => {
  const tree = readPerfScript(text)
  return tree === undefined ? undefined : treeStacks(tree)
}

const RECORDED = `# ========
# captured on    : Sun Nov 22 04:30:00 2026
# ========
#
sh 19371 58020.089217:     250000 cpu-clock:${' '}
\t            7cfd [unknown] (/usr/bin/dash)
\t    5580a3f4a968 [unknown] ([unknown])

C2 CompilerThre 7/9 [002] 6544038.708352: cpu-clock:
\tffffffff81616b29 get_page+0x2fe ([kernel.kallsyms])
\t           1a34f operator()(int, char**)+0x0 (/usr/lib/libjvm.so)

C2 CompilerThre 7/11 [003] 6544038.708353: cpu-clock:
\tffffffff81616b30 get_page+0x305 ([kernel.kallsyms])
\t           1a34f operator()(int, char**)+0x0 (/usr/lib/libjvm.so)
`

test('events are samples under their command, leaf first, symbols without offsets', () => {
  assert.deepEqual(stacksOf(RECORDED), {
    'sh;0x5580a3f4a968;dash!0x7cfd': 1n,
    'C2 CompilerThre;operator()(int, char**);get_page': 2n,
  })
  assert.deepEqual(stacksOf(RECORDED.replaceAll('\n', '\r\n')), stacksOf(RECORDED))
})

test('events without stacks, without lines between them, and a frame without a binary', () => {
  const text =
    'a 1 [000] 1.5: cpu-clock:\nb 2 2.5: 10 cycles: 7f00 x (/bin/b)\nc 3 3.5: cycles:\n  ff main\n  fe _start'
  assert.deepEqual(stacksOf(text), { a: 1n, b: 1n, 'c;_start;main': 1n })
})

test('what is something else is not read', () => {
  for (const text of ['', '\n\n', '# only a comment', 'main;work 12', '\tff main (/bin/x)', 'a b c', '{"a": 1}']) {
    assert.equal(stacksOf(text), undefined, JSON.stringify(text))
  }
  assert.equal(stacksOf(`${RECORDED}\nand a word of thanks`), undefined)
  assert.equal(stacksOf('a 1 1.5: cpu-clock:\n  zz main (/bin/x)'), undefined)
})

test('lines that a search could stumble over are read in linear time', () => {
  const [spaces, numbers, parens] = [' ', '1 ', ' ('].map((part) => part.repeat(200_000))
  const hostile = [`a${spaces}b`, `a ${numbers}`, `a 1 1.5: c:\n ff ${parens}`, `a 1 1.5: c:\n ff x${spaces}y`]
  const startedMs = process.cpuUsage().user / 1_000
  for (const text of hostile) stacksOf(text)
  // Half a minute and more if every start were tried to the end of the line: 200,000^2 steps each.
  assert.ok(process.cpuUsage().user / 1_000 - startedMs < 10_000)
})
