/** Plans in parts are the plan, whatever was cut where, and one that is too large ends early. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { joinPlan, planningInParts } from '#core/query/plan-parts.ts'
import type { Metastore, PlanQueryRequest, SourceObject } from '#core/rpc/metastore.ts'

const REQUEST: PlanQueryRequest = { tenants: ['t'], services: [], startMs: 0, endMs: 1 }

function objectOf(objectId: string, indexes: readonly number[]): SourceObject {
  const datasets = indexes.map((index) => ({ descriptor: { index }, skip: [] }))
  return { objectId, level: 1, sizeBytes: 1, datasets } as unknown as SourceObject
}

async function* partsOf(parts: readonly (readonly SourceObject[])[]) {
  for (const objects of parts) yield { objects: [...objects] }
}

test('objects that were cut are whole again, in order', async () => {
  const row = fc.record({ id: fc.constantFrom('a', 'b', 'c'), index: fc.nat(9), part: fc.nat(4) })
  const rowsOf = fc.uniqueArray(row, { selector: ({ id, index }) => `${id}${index}`, maxLength: 30 })
  await fc.assert(
    fc.asyncProperty(rowsOf, async (rows) => {
      const parts = [0, 1, 2, 3, 4].map((part) =>
        ['c', 'a', 'b'].flatMap((id) => {
          const own = rows.filter((each) => each.part === part && each.id === id)
          return own.length === 0 ? [] : [objectOf(id, own.map(({ index }) => index).sort())]
        }),
      )
      const whole = ['a', 'b', 'c'].flatMap((id) => {
        const own = rows.filter((each) => each.id === id)
        return own.length === 0
          ? []
          : [
              objectOf(
                id,
                own.map(({ index }) => index).sort((a, b) => a - b),
              ),
            ]
      })
      assert.deepEqual(await joinPlan(partsOf(parts)), whole)
    }),
  )
})

test('a plan that is too large is refused before it is whole, and its source ends', async () => {
  let [sent, hasEnded] = [0, false]
  async function* endless() {
    try {
      for (;;) {
        const objectId = `o${sent++}`
        yield {
          objects: [
            objectOf(
              objectId,
              Array.from({ length: 10_000 }, (_, i) => i),
            ),
          ],
        }
      }
    } finally {
      hasEnded = true
    }
  }
  const never = () => Promise.reject(new Error('asked in one piece'))
  const metastore = planningInParts({ planQuery: never, streamPlan: endless } as unknown as Metastore)
  await assert.rejects(metastore.planQuery(REQUEST), { kind: 'invalid_argument', reason: 'plan_datasets' })
  assert.deepEqual([sent, hasEnded], [21, true])
})

test('who has left gets no more parts', async () => {
  const left = AbortSignal.abort()
  let sent = 0
  async function* parts() {
    for (; sent < 5; sent++) yield { objects: [objectOf(`o${sent}`, [0])] }
  }
  assert.deepEqual(await joinPlan(parts(), left), [])
  assert.equal(sent, 0)
})

test('a metastore without parts is asked in one piece', async () => {
  const objects = [objectOf('a', [0])]
  const metastore = planningInParts({ planQuery: async () => ({ objects }) } as unknown as Metastore)
  assert.deepEqual(await metastore.planQuery(REQUEST), { objects })
})
