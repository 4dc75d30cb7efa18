import assert from 'node:assert/strict'
import { test } from 'node:test'
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

test('core shares a process per folder, others have their own, slow ones come first', () => {
  assert.deepEqual(planBatches(PATHS, []), [
    { name: 'test/db/jobs.test.ts', files: ['test/db/jobs.test.ts'], waits: false },
    { name: 'test/bench/verdict.test.ts', files: ['test/bench/verdict.test.ts'], waits: false },
    { name: 'test/core', files: ['test/core/units.test.ts'], waits: false },
    { name: 'test/core/pprof', files: ['test/core/pprof/a.test.ts', 'test/core/pprof/b.test.ts'], waits: false },
    { name: 'test/tidy/names.test.ts', files: ['test/tidy/names.test.ts'], waits: false },
  ])
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
      ['test/db/jobs.test.ts', false],
    ],
  )
})

test('no suite is lost or run twice', () => {
  const files = planBatches(PATHS, []).flatMap((batch) => batch.files)
  assert.equal(new Set(files).size, files.length)
  assert.equal(files.length, 6)
})
