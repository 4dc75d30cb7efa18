import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { attemptOf, decideLineage, type LineageObject } from '#core/recovery/lineage.ts'

const dataset = (profileCount: number, service = 'web', tenant = 'acme') => ({ tenant, service, profileCount })

function segment(objectId: string, datasets = [dataset(2)], more: Partial<LineageObject> = {}): LineageObject {
  return { objectId, level: 0, jobId: '', epoch: 0, sources: [], datasets, ...more }
}

type Sources = Record<string, number[]>

function output(
  objectId: string,
  token: [job: number, epoch: number],
  from: Sources,
  more: Partial<LineageObject> = {},
): LineageObject {
  const sources = Object.entries(from).map(([source, datasets]) => ({ objectId: source, datasets }))
  return { objectId, level: 1, jobId: String(token[0]), epoch: token[1], sources, datasets: [dataset(4)], ...more }
}

/** `id:live indexes`, and what is retired. */
function decide(...objects: LineageObject[]): string[] {
  return decideLineage(objects).map(
    ({ objectId, live, retires }) =>
      `${objectId}:${live.join(',')}${retires.map((each) => ` -${each.objectId}.${each.index}`).join('')}`,
  )
}

const A_AND_B = { a: [0], b: [0] }

test('segments without outputs are live', () => {
  assert.deepEqual(decide(segment('a', [dataset(1), dataset(2, 'api')]), segment('b')), ['a:0,1', 'b:0'])
})

test('sources of a whole output are dead', () => {
  assert.deepEqual(decide(segment('a'), segment('b'), output('x', [1, 1], A_AND_B)), ['a:', 'b:', 'x:0'])
})

test('an output whose sources are gone is chosen, whatever it counts', () => {
  assert.deepEqual(decide(output('x', [1, 1], A_AND_B, { datasets: [dataset(3)] })), ['x:0'])
  assert.deepEqual(decide(segment('a'), output('x', [1, 1], A_AND_B, { datasets: [dataset(3)] })), ['a:', 'x:0'])
})

test('outputs that were written in part do not replace their sources', () => {
  const sources = [segment('a', [dataset(2), dataset(5, 'api')]), segment('b')]
  const first = output('x', [1, 1], { a: [0, 1], b: [0] })
  assert.deepEqual(decide(...sources, first), ['a:0,1', 'b:0', 'x:'])
  const second = { ...first, objectId: 'y', datasets: [dataset(5, 'api')] }
  assert.deepEqual(decide(...sources, first, second), ['a:', 'b:', 'x:0', 'y:0'])
  assert.deepEqual(decide(sources[0]!, first), ['a:0,1', 'x:'], 'b is gone, and nothing holds the api of a')
})

test('a merge that left duplicates out gives way to its sources while they are there', () => {
  assert.deepEqual(decide(segment('a'), segment('b'), output('x', [1, 1], A_AND_B, { datasets: [dataset(3)] })), [
    'a:0',
    'b:0',
    'x:',
  ])
})

test('of outputs that share a source the highest token wins: epochs within a job, later jobs over earlier', () => {
  const epochs = [output('x', [9, 1], A_AND_B), output('y', [9, 2], A_AND_B)]
  assert.deepEqual(decide(segment('a'), segment('b'), ...epochs), ['a:', 'b:', 'x:', 'y:0'])
  const jobs = [output('x', [9, 3], A_AND_B), output('y', [10, 1], A_AND_B)]
  assert.deepEqual(decide(...jobs), ['x:', 'y:0'], 'as numbers, not as text')
  const overlap = [output('x', [9, 1], A_AND_B), output('y', [10, 1], { b: [0], c: [0] })]
  assert.deepEqual(decide(segment('a'), ...overlap), ['a:0', 'x:', 'y:0'], 'what only the loser read stays live')
})

test('what a chosen output read had been published, although its count is odd and a rival is newer', () => {
  const low = output('x', [1, 1], A_AND_B, { datasets: [dataset(3)] })
  const rival = output('r', [2, 1], { b: [0], c: [0] })
  const high = output('z', [3, 1], { x: [0] }, { level: 2, datasets: [dataset(3)] })
  assert.deepEqual(decide(segment('a'), segment('b'), segment('c'), low, rival, high), [
    'a:',
    'b:',
    'c:0',
    'r:',
    'x:',
    'z:0',
  ])
})

test('objects without a job are attempts of their own', () => {
  const foreign = (id: string, source: string) =>
    output(id, [0, 0], { [source]: [0] }, { jobId: '', datasets: [dataset(2)] })
  assert.notEqual(attemptOf(foreign('x', 'a')), attemptOf(foreign('y', 'b')))
  assert.deepEqual(decide(segment('a'), segment('b'), foreign('x', 'a'), foreign('y', 'b')), ['a:', 'b:', 'x:0', 'y:0'])
})

test('levels above the first take single datasets', () => {
  const shared = output('x', [1, 1], A_AND_B, { datasets: [dataset(4, 'api'), dataset(4)] })
  const hour = output('z', [2, 1], { x: [1] }, { level: 5, datasets: [dataset(4)] })
  assert.deepEqual(decide(shared, hour), ['x:0', 'z:0'])
})

test('the index is believed: what it has dead cannot be read again, what it has live is retired by who replaced it', () => {
  const known = [segment('a', [dataset(2)], { indexed: [0] }), segment('b', [dataset(2)], { indexed: [0] })]
  assert.deepEqual(decide(...known, output('x', [7, 1], A_AND_B)), ['x:0 -a.0 -b.0'])
  const dead = [segment('a', [dataset(2)], { indexed: [] }), known[1]!]
  assert.deepEqual(decide(...dead, output('x', [7, 1], A_AND_B)), ['x:'])
  const siblings = [output('x', [7, 1], { c: [0] }, { indexed: [0] }), output('y', [7, 1], { c: [0] })]
  assert.deepEqual(decide(...siblings), ['y:'], 'a commit names all its outputs')
})

test('every profile is live somewhere, and once where nothing was deleted, whatever was written and lost', () => {
  // Random histories: merges of live datasets, each published or not, sources deleted after publication or not.
  const step = fc.record({
    take: fc.array(fc.nat(20), { minLength: 1, maxLength: 4 }),
    isPublished: fc.boolean(),
    isDeleted: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 12 }), fc.array(step, { maxLength: 15 }), (segments, steps) => {
      const bucket = new Map<string, LineageObject>()
      const holds = new Map<string, string[]>()
      const segmentIds = Array.from({ length: segments }, (_, i) => `s${i}`)
      let live = segmentIds
      for (const id of segmentIds) {
        bucket.set(id, segment(id, [dataset(1)]))
        holds.set(id, [id])
      }
      steps.forEach(({ take, isPublished, isDeleted }, job) => {
        const sources = [...new Set(take.map((n) => live[n % live.length]!))]
        const content = sources.flatMap((source) => holds.get(source)!)
        const id = `o${job}`
        holds.set(id, content)
        const from = Object.fromEntries(sources.map((source) => [source, [0]]))
        bucket.set(id, output(id, [job + 1, 1], from, { datasets: [dataset(content.length)] }))
        if (!isPublished) return
        live = [...live.filter((each) => !sources.includes(each)), id]
        if (isDeleted) for (const source of sources) bucket.delete(source)
      })
      const found = decideLineage(bucket.values())
        .filter((each) => each.live.length > 0)
        .flatMap((each) => holds.get(each.objectId)!)
      assert.deepEqual([...new Set(found)].sort(), segmentIds.sort())
      if (!steps.some(({ isDeleted }) => isDeleted)) assert.equal(found.length, segments)
    }),
  )
})
