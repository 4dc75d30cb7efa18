import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { afterFailure, type FailureVerdict, type JobDataset, type JobFailure } from '#core/compaction/after-failure.ts'

const POLICY = { failuresMax: 3, backoffBaseMs: 1_000, backoffMaxMs: 60_000 }
/** `tenant/service/object/index`. */
const dataset = (text: string): JobDataset => {
  const [tenant, service, objectId, index] = text.split('/') as [string, string, string, string]
  return { tenant, service, objectId, index: Number(index), windowStartMs: 0, sizeBytes: 100 }
}
const datasets = (text: string) => text.split(' ').map(dataset)
const failure = (held: string, more: Partial<JobFailure> = {}): JobFailure => ({
  kind: 'error',
  culprits: [],
  failures: 0,
  datasets: datasets(held),
  lately: { failedJobs: 1, committedJobs: 0 },
  ...more,
})
const blamed = (text: string) => datasets(text).map(({ objectId, index }) => ({ objectId, index }))

/** `retry 1 after 1000`, `park 3`, or a part a piece: `a/s/o/0 a/s/o/1 (1, 1000)`. */
function show(verdict: FailureVerdict): string | string[] {
  if (verdict.kind === 'retry') return `retry ${verdict.failures} after ${verdict.delayMs}`
  if (verdict.kind === 'park') return `park ${verdict.failures}`
  return verdict.parts.map(({ datasets: held, failures, delayMs, isParked }) => {
    const names = held.map((d) => `${d.tenant}/${d.service}/${d.objectId}/${d.index}`).join(' ')
    return `${names} (${failures}, ${delayMs}${isParked ? ', parked' : ''})`
  })
}

const ONE = 'a/s/o/0'
const CELLS = 'a/s/o/0 a/s/p/0 a/t/o/1 b/s/p/1'
const SOURCES = 'a/s/o/0 a/s/p/0 a/s/q/0'
const table: [string, JobFailure, string | string[]][] = [
  ['the first failure is tried again whole', failure(CELLS), 'retry 1 after 1000'],
  [
    'the second splits by tenant, service and window',
    failure(CELLS, { failures: 1 }),
    ['a/s/o/0 a/s/p/0 (1, 1000)', 'a/t/o/1 b/s/p/1 (1, 1000)'],
  ],
  [
    'one service and window is split by source',
    failure(SOURCES, { failures: 1 }),
    ['a/s/o/0 a/s/p/0 (1, 1000)', 'a/s/q/0 (1, 1000)'],
  ],
  [
    'one source of one service is split by dataset',
    failure('a/s/o/0 a/s/o/1', { failures: 1 }),
    ['a/s/o/0 (1, 1000)', 'a/s/o/1 (1, 1000)'],
  ],
  ['one dataset is tried once more', failure(ONE, { failures: 1 }), 'retry 2 after 2000'],
  ['one dataset is parked at its last failure', failure(ONE, { failures: 2 }), 'park 3'],
  [
    'a named culprit parts, the rest goes on at once and uncounted',
    failure(CELLS, { kind: 'corrupt-source', culprits: blamed('a/t/o/1') }),
    ['a/s/o/0 a/s/p/0 b/s/p/1 (0, 0)', 'a/t/o/1 (1, 1000)'],
  ],
  [
    'culprits part object by object',
    failure(CELLS, { kind: 'missing-source', culprits: blamed('a/s/o/0 a/t/o/1 a/s/p/0') }),
    ['b/s/p/1 (0, 0)', 'a/s/o/0 a/t/o/1 (1, 1000)', 'a/s/p/0 (1, 1000)'],
  ],
  [
    'a culprit that failed often enough is parked as it parts',
    failure(CELLS, { culprits: blamed('a/t/o/1'), failures: 2 }),
    ['a/s/o/0 a/s/p/0 b/s/p/1 (2, 0)', 'a/t/o/1 (3, 4000, parked)'],
  ],
  [
    'a job that is named whole is not taken apart any more',
    failure('a/s/o/0 a/t/o/1', { kind: 'missing-source', culprits: blamed('a/s/o/0 a/t/o/1'), failures: 1 }),
    'retry 2 after 2000',
  ],
  [
    'and is parked as one',
    failure('a/s/o/0 a/t/o/1', { kind: 'missing-source', culprits: blamed('a/s/o/0 a/t/o/1'), failures: 2 }),
    'park 3',
  ],
  [
    'culprits that the job does not hold say nothing',
    failure(CELLS, { kind: 'corrupt-source', culprits: blamed('x/y/z/9') }),
    'retry 1 after 1000',
  ],
  [
    'over budget is split at once, and nobody failed',
    failure(CELLS, { kind: 'over-budget' }),
    ['a/s/o/0 a/s/p/0 (0, 0)', 'a/t/o/1 b/s/p/1 (0, 0)'],
  ],
  [
    'over budget because of some: they part',
    failure(CELLS, { kind: 'over-budget', culprits: blamed('a/s/o/0 a/s/p/0'), failures: 1 }),
    ['a/t/o/1 b/s/p/1 (1, 0)', 'a/s/o/0 a/s/p/0 (1, 0)'],
  ],
  [
    'over budget because of all: halves',
    failure('a/s/o/0 a/t/o/1', { kind: 'over-budget', culprits: blamed('a/s/o/0 a/t/o/1') }),
    ['a/s/o/0 (0, 0)', 'a/t/o/1 (0, 0)'],
  ],
  ['a single dataset over budget is parked', failure(ONE, { kind: 'over-budget' }), 'park 0'],
  [
    'while all fail, none is blamed',
    failure(ONE, { failures: 2, lately: { failedJobs: 8, committedJobs: 0 } }),
    'retry 2 after 60000',
  ],
  [
    'while others succeed, it is',
    failure(ONE, { failures: 2, lately: { failedJobs: 80, committedJobs: 1 } }),
    'park 3',
  ],
  ['a job of nothing is not split', failure('', { datasets: [], failures: 2 }), 'park 3'],
]
for (const [name, given, expected] of table) {
  test(name, () => assert.deepEqual(show(afterFailure(given, POLICY)), expected))
}

const someDatasets = fc
  .uniqueArray(
    fc.record({
      objectId: fc.constantFrom('o', 'p', 'q', 'r', 'ü'),
      index: fc.integer({ min: 0, max: 9 }),
      tenant: fc.constantFrom('', 'a', 'b'),
      service: fc.constantFrom('s', 't'),
      windowStartMs: fc.constantFrom(0, 3_600_000),
      sizeBytes: fc.integer({ min: 0, max: 1_000 }),
    }),
    { minLength: 1, maxLength: 40, selector: ({ objectId, index }) => `${objectId}/${index}` },
  )
  .chain((held) => fc.tuple(fc.constant(held), fc.shuffledSubarray(held)))

test('a split is a partition: every dataset in exactly one part, no part empty or whole', () => {
  fc.assert(
    fc.property(
      someDatasets,
      fc.constantFrom('error', 'over-budget', 'missing-source', 'corrupt-source'),
      fc.integer({ min: 0, max: 5 }),
      ([held, culprits], kind, failures) => {
        const lately = { failedJobs: 1, committedJobs: 1 }
        const verdict = afterFailure({ kind, culprits, failures, datasets: held, lately }, POLICY)
        if (verdict.kind !== 'split') return
        assert.ok(verdict.parts.length >= 2)
        for (const part of verdict.parts) assert.ok(part.datasets.length > 0)
        const ids = (all: readonly JobDataset[]) => all.map((d) => `${d.objectId}/${d.index}`).sort()
        assert.deepEqual(ids(verdict.parts.flatMap((part) => part.datasets)), ids(held))
      },
    ),
  )
})

/** Runs a job to its end by the rule; a job fails if it holds poison. Returns what was parked, merged, and the attempts. */
function runToEnd(held: readonly JobDataset[], isPoison: (dataset: JobDataset) => boolean) {
  const queue: { datasets: readonly JobDataset[]; failures: number }[] = [{ datasets: held, failures: 0 }]
  const parked: JobDataset[] = []
  const merged: JobDataset[] = []
  let failed = 0
  for (let job = queue.pop(); job !== undefined; job = queue.pop()) {
    if (!job.datasets.some(isPoison)) {
      merged.push(...job.datasets)
      continue
    }
    failed++
    const lately = { failedJobs: 1, committedJobs: 1 }
    const verdict = afterFailure({ kind: 'error', culprits: [], ...job, lately }, POLICY)
    if (verdict.kind === 'park') parked.push(...job.datasets)
    else if (verdict.kind === 'retry') queue.push({ ...job, failures: verdict.failures })
    else {
      for (const part of verdict.parts) {
        if (part.isParked) parked.push(...part.datasets)
        else queue.push(part)
      }
    }
  }
  return { parked, merged, failed }
}

test('one poison dataset of 1,000 is found in 14 failures, and all others are merged (H39)', () => {
  const held = Array.from({ length: 1_000 }, (_, i) => dataset(`t${i % 7}/s${i % 50}/o${i % 32}/${i}`))
  for (const poison of [0, 17, 500, 999]) {
    const { parked, merged, failed } = runToEnd(held, ({ index }) => index === poison)
    assert.deepEqual(
      parked.map(({ index }) => index),
      [poison],
    )
    assert.equal(merged.length, 999)
    assert.ok(failed <= 14, `${failed}`)
  }
})

test('several poison datasets are parked alone, each', () => {
  fc.assert(
    fc.property(someDatasets, ([held, poison]) => {
      const poisoned = new Set<JobDataset>(poison.slice(0, 5))
      const { parked, merged } = runToEnd(held, (each) => poisoned.has(each))
      assert.deepEqual(new Set(parked), poisoned)
      assert.equal(parked.length + merged.length, held.length)
    }),
  )
})
