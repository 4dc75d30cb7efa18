import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listPaths, ROOT } from '../tidy/source-tree.ts'
import { planBatches } from './plan.ts'

const PATHS = [
  'core/a.ts',
  'test/bench/main.ts',
  'test/bench/verdict.test.ts',
  'test/core/pprof/b.test.ts',
  'test/core/pprof/a.test.ts',
  'test/core/units.test.ts',
  'test/db/jobs.test.ts',
  'test/fixtures/programs/x/x.test.ts',
  'test/support/clock.ts',
  'test/tidy/names.test.ts',
]

test('core shares a process per folder, so do short suites; slow ones come first', () => {
  assert.deepEqual(planBatches(PATHS, []), [
    { name: 'test/db', files: ['test/db/jobs.test.ts'], waits: false },
    { name: 'test/bench', files: ['test/bench/verdict.test.ts'], waits: false },
    { name: 'test/core', files: ['test/core/units.test.ts'], waits: false },
    { name: 'test/core/pprof', files: ['test/core/pprof/a.test.ts', 'test/core/pprof/b.test.ts'], waits: false },
    { name: 'test/tidy', files: ['test/tidy/names.test.ts'], waits: false },
  ])
})

test('an app of many suites has several processes, even in number; what is long or looks around is alone', () => {
  const many = Array.from({ length: 25 }, (_, at) => `test/apps/cli/x${String(at).padStart(2, '0')}.test.ts`)
  const alone = [
    'test/apps/segment-writer/memory.test.ts',
    'test/apps/segment-writer/threads.test.ts',
    'test/db/transactions.test.ts',
  ]
  const others = ['test/apps/platform/http/a.test.ts', 'test/apps/platform/b.test.ts', 'test/e2e/x.test.ts']
  const batches = planBatches([...many, ...alone, ...others], [])
  const sizes = new Map(batches.map(({ name, files }) => [name, files.length]))
  assert.deepEqual(Object.fromEntries([...sizes].sort()), {
    'test/apps/cli 1/3': 8,
    'test/apps/cli 2/3': 8,
    'test/apps/cli 3/3': 9,
    'test/apps/platform': 2,
    'test/apps/segment-writer/memory.test.ts': 1,
    'test/apps/segment-writer/threads.test.ts': 1,
    'test/db/transactions.test.ts': 1,
    'test/e2e/x.test.ts': 1,
  })
  assert.deepEqual(new Set(batches.flatMap(({ files }) => files)), new Set([...many, ...alone, ...others]))
})

test('filters are parts of paths, any of them', () => {
  const files = (filters: string[]) => planBatches(PATHS, filters).flatMap((batch) => batch.files)
  assert.deepEqual(files(['core/pprof/a']), ['test/core/pprof/a.test.ts'])
  assert.deepEqual(files(['units', 'db/']), ['test/db/jobs.test.ts', 'test/core/units.test.ts'])
  assert.deepEqual(files(['gone']), [])
})

test('a suite of minutes runs where it is named, and where everything does', () => {
  const paths = [...PATHS, 'test/chaos/chaos.test.ts']
  const isIn = (filters: string[], isThorough: boolean) =>
    planBatches(paths, filters, { isThorough }).some(({ name }) => name === 'test/chaos/chaos.test.ts')
  assert.deepEqual(
    [isIn([], false), isIn(['chaos'], false), isIn([], true), isIn(['db'], true)],
    [false, true, true, false],
  )
})

test('the longest come first, and what mostly waits is marked', () => {
  const paths = [...PATHS, 'test/e2e/kill.test.ts', 'test/e2e/journal.test.ts']
  const batches = planBatches(paths, [])
  assert.deepEqual(
    batches.slice(0, 3).map(({ name, waits }) => [name, waits]),
    [
      ['test/e2e/journal.test.ts', true],
      ['test/e2e/kill.test.ts', false],
      ['test/db', false],
    ],
  )
})

test('no suite is lost or run twice', () => {
  const files = planBatches(PATHS, []).flatMap((batch) => batch.files)
  assert.equal(new Set(files).size, files.length)
  assert.equal(files.length, 6)
})

test('with everything asked for every suite of the tree runs once; a plain run says what it leaves out', () => {
  const paths = listPaths(ROOT)
  const suites = paths.filter((path) => path.endsWith('.test.ts') && !path.startsWith('test/fixtures/'))
  const filesOf = (isThorough: boolean) => planBatches(paths, [], { isThorough }).flatMap(({ files }) => files)
  assert.deepEqual(filesOf(true).sort(), suites.sort())
  const plain = new Set(filesOf(false))
  const left = suites.filter((path) => !plain.has(path))
  assert.ok(left.length > 0 && left.every((path) => /^test\/(chaos|e2e-s3)\//.test(path)), left.join(' '))
  // Names of batches are what long ones are known by.
  const names = planBatches(paths, [], { isThorough: true }).map(({ name }) => name)
  assert.equal(new Set(names).size, names.length)
})
