/** Answers of kept label sets are those of the statement that takes sets apart, at any time. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { MS_PER_HOUR } from '#core/units.ts'
import type { SqlSession } from '#db/client.ts'
import { KeptLabelSets } from '#db/sql/kept-label-sets.ts'
import { selectLabelSets } from '#db/sql/label-sets.ts'
import { type TestDatabase, withDatabase } from '../../support/postgres.ts'

const HOURS = 4
let database: TestDatabase
before(async () => {
  database = await withDatabase()
})
after(() => database.close())

async function put(tenant: string, hour: number, sets: readonly (readonly string[])[]): Promise<void> {
  for (const pairs of sets)
    await database.sql`insert into label_sets (tenant, window_start_ms, hash, pairs, incarnation)
      values (${tenant}, ${hour * MS_PER_HOUR}, md5(${pairs.join()})::uuid, ${pairs}::text[], 1)`
}

interface Question {
  tenants: string[]
  names?: string[]
  namesOnly?: boolean
  endMs?: number
  limit?: number
}

const plain = (sets: readonly { pairs: string[] }[]) => sets.map(({ pairs }) => pairs.join(' ')).sort()

async function ask(kept: KeptLabelSets, { limit = 1_000, ...question }: Question): Promise<string[]> {
  const request = { startMs: 0, endMs: HOURS * MS_PER_HOUR, names: [], namesOnly: false, ...question }
  return plain(await kept.select(database.sql, request, limit))
}

/** The same of both, the second time too. */
async function agrees(kept: KeptLabelSets, { limit = 1_000, ...question }: Question): Promise<string[]> {
  const request = { startMs: 0, endMs: HOURS * MS_PER_HOUR, names: [], namesOnly: false, ...question }
  const expected = plain(await selectLabelSets(database.sql, request, limit))
  for (let i = 0; i < 2; i++)
    assert.deepEqual(await ask(kept, { limit, ...question }), expected, JSON.stringify(question))
  return expected
}

test('every kind of question has the answer of Postgres, which is never an old one', async () => {
  const kept = new KeptLabelSets()
  await put('a', 0, [
    ['kind', 'zone', 'zone', 'eu'],
    ['kind', 'x'],
    ['zone', 'us'],
    ['', ''],
  ])
  await put('a', 1, [['kind', 'x']])
  await put('b', 0, [['zone', 'us']])
  const questions: Question[] = [
    { tenants: ['a'] },
    { tenants: ['a'], namesOnly: true },
    { tenants: ['a'], names: ['zone'] },
    { tenants: ['a'], names: ['zone', 'kind', 'none'] },
    { tenants: ['a'], endMs: MS_PER_HOUR - 1 },
    { tenants: ['a', 'b'], names: ['zone'] },
    { tenants: ['b'] },
    { tenants: ['nobody'] },
  ]
  for (const question of questions) await agrees(kept, question)
  await put('a', 2, [['kind', 'new']])
  assert.ok((await agrees(kept, { tenants: ['a'] })).includes('kind new'))
  for (const question of questions) await agrees(kept, question)
  await database.sql`delete from label_sets where tenant = 'a' and window_start_ms = 0`
  assert.deepEqual(await agrees(kept, { tenants: ['a'] }), ['kind new', 'kind x'])
})

test('what a question came to is kept for the same hashes, for each question by itself', async () => {
  const kept = new KeptLabelSets()
  await put('asked', 0, [['k', '1', 'l', '2']])
  const questions: Question[] = Array.from({ length: 36 }, (_, i) => ({ tenants: ['asked'], names: ['k', `n${i}`] }))
  for (const question of questions) assert.deepEqual(await agrees(kept, question), ['k 1'])
  const { chars } = kept
  for (const question of questions) await agrees(kept, question)
  assert.equal(kept.chars, chars, 'the oldest answer goes for a new one')
  await put('asked', 1, [['k', '3']])
  for (const question of questions) assert.deepEqual(await agrees(kept, question), ['k 1', 'k 3'])
  assert.deepEqual(await agrees(kept, { tenants: ['asked'], names: ['l'] }), ['', 'l 2'])
})

test('one statement that returns one row tells that nothing has changed, and the list is the same one', async () => {
  const kept = new KeptLabelSets()
  await put('same', 0, [
    ['k', '1'],
    ['k', '2'],
  ])
  const rows: number[] = []
  const counted = ((strings: TemplateStringsArray, ...values: never[]) =>
    database.sql(strings, ...values).then((found) => {
      rows.push(found.length)
      return found
    })) as unknown as SqlSession
  const request = { tenants: ['same'], startMs: 0, endMs: MS_PER_HOUR - 1, names: ['k'], namesOnly: false }
  const first = await kept.select(counted, request, 10)
  rows.length = 0
  assert.equal(await kept.select(counted, request, 10), first)
  assert.equal(await kept.select(counted, { ...request, startMs: 500, endMs: 9_000 }, 10), first)
  assert.deepEqual(rows, [1, 1])
  await database.sql`delete from label_sets where tenant = 'same' and pairs[2] = '1'`
  await put('same', 0, [['k', '3']])
  assert.deepEqual(plain(await kept.select(counted, request, 10)), ['k 2', 'k 3'])
  assert.equal((await kept.select(counted, request, 2)).length, 2)
  assert.equal((await kept.select(counted, request, 0)).length, 1)
})

test('whatever is committed, deleted and died meanwhile: each answer is the one of now', async () => {
  const step = fc.record({
    does: fc.constantFrom('put', 'put', 'delete', 'again', 'die'),
    hour: fc.nat(HOURS - 1),
    value: fc.nat(3),
  })
  const question = fc.record({ from: fc.nat(HOURS - 1), hours: fc.nat(HOURS), named: fc.boolean() })
  let runs = 0
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(step, question), { minLength: 1, maxLength: 12 }), async (steps) => {
      const kept = new KeptLabelSets()
      const tenant = `random-${runs++}`
      let incarnation = 1
      for (const [{ does, hour, value }, { from, hours, named }] of steps) {
        const at = hour * MS_PER_HOUR
        const hash = database.sql`md5(${`k${value}`})::uuid`
        if (does === 'delete')
          await database.sql`delete from label_sets where tenant = ${tenant} and window_start_ms = ${at} and hash = ${hash}`
        else if (does === 'die') {
          incarnation++
          await database.sql`insert into tenant_incarnations (tenant, incarnation, live_from, died_at)
            values (${tenant}, ${incarnation}, ${incarnation}, now())
            on conflict (tenant) do update set incarnation = excluded.incarnation, live_from = excluded.live_from`
        } else {
          const born = does === 'again' ? incarnation + 1 : incarnation
          await database.sql`insert into label_sets (tenant, window_start_ms, hash, pairs, incarnation)
            values (${tenant}, ${at}, ${hash}, ${['k', `${value}`, 'l', 'x']}::text[], ${born}) on conflict do nothing`
        }
        const request = {
          tenants: [tenant],
          startMs: from * MS_PER_HOUR + 5,
          endMs: (from + hours) * MS_PER_HOUR + 5,
          names: named ? ['k'] : [],
          namesOnly: false,
        }
        const expected = plain(await selectLabelSets(database.sql, request, 100))
        for (let i = 0; i < 2; i++)
          assert.deepEqual(plain(await kept.select(database.sql, request, 100)), expected, JSON.stringify(request))
      }
    }),
    { numRuns: 40 },
  )
})

test('one more than the limit comes, and no more', async () => {
  const kept = new KeptLabelSets()
  await put('limited', 0, [
    ['k', '1'],
    ['k', '2'],
    ['k', '3'],
    ['k', '4'],
  ])
  assert.equal((await ask(kept, { tenants: ['limited'], limit: 2 })).length, 3)
  assert.equal((await ask(kept, { tenants: ['limited'], limit: 4 })).length, 4)
})

test('sets of a deleted tenant are not told though they are known', async () => {
  const kept = new KeptLabelSets()
  await put('dead', 0, [['k', '1']])
  assert.deepEqual(await agrees(kept, { tenants: ['dead'] }), ['k 1'])
  await database.sql`insert into tenant_incarnations (tenant, incarnation, live_from, died_at) values ('dead', 2, 2, now())`
  assert.deepEqual(await agrees(kept, { tenants: ['dead'] }), [])
})

test('a tenant of many sets is left to Postgres, and nothing of it is kept', async () => {
  const kept = new KeptLabelSets({ setsMax: 2 })
  await put('large', 0, [
    ['k', '1'],
    ['k', '2'],
  ])
  assert.equal((await agrees(kept, { tenants: ['large'] })).length, 2)
  assert.ok(kept.chars > 0)
  await put('large', 1, [['k', '3']])
  assert.equal((await agrees(kept, { tenants: ['large'] })).length, 3)
  assert.equal(kept.chars, 0)
})

test('what is kept is bounded: the tenant that was read first goes', async () => {
  const kept = new KeptLabelSets({ charsMax: 450 })
  for (const tenant of ['one', 'two', 'three']) await put(tenant, 0, [[tenant, 'v'.repeat(100)]])
  for (const tenant of ['one', 'two', 'three', 'one']) {
    await agrees(kept, { tenants: [tenant] })
    assert.ok(kept.chars > 0 && kept.chars <= 450, `${kept.chars}`)
  }
  const none = new KeptLabelSets({ charsMax: 0 })
  await agrees(none, { tenants: ['one'] })
  assert.equal(none.chars, 0)
})

test('a tenant that is asked about again and again stays, though nothing of it has to be read', async () => {
  const kept = new KeptLabelSets({ charsMax: 450 })
  const tenants = ['often', 'seldom', 'new'] as const
  for (const tenant of tenants) await put(tenant, 0, [[tenant, 'v'.repeat(100)]])
  for (const tenant of ['often', 'seldom', 'often', 'new']) await ask(kept, { tenants: [tenant] })
  // Pairs of a hash never change: who tells others has read them again.
  for (const tenant of tenants)
    await database.sql`update label_sets set pairs = array[${tenant}, 'read'] where tenant = ${tenant}`
  assert.deepEqual(await ask(kept, { tenants: ['often'] }), [`often ${'v'.repeat(100)}`])
  assert.deepEqual(await ask(kept, { tenants: ['seldom'] }), ['seldom read'])
})

test('a set that went between its hash and its labels is told when it is there again', async () => {
  const kept = new KeptLabelSets()
  const stays = [['k', 'stays']]
  const goes = [['k', 'goes']]
  await put('raced', 0, [...stays, ...goes])
  const raced = ((strings: TemplateStringsArray, ...values: never[]) => {
    const query = database.sql(strings, ...values)
    if (!strings.join().includes('distinct on (l.hash)')) return query
    return database.sql`delete from label_sets where tenant = 'raced' and pairs[2] = 'goes'`.then(() => query)
  }) as unknown as SqlSession
  const request = { tenants: ['raced'], startMs: 0, endMs: HOURS * MS_PER_HOUR, names: [], namesOnly: false }
  assert.deepEqual(plain(await kept.select(raced, request, 10)), ['k stays'])
  await put('raced', 0, goes)
  assert.deepEqual(await agrees(kept, { tenants: ['raced'] }), ['k goes', 'k stays'])
})

test('answers go before the sets that they were made of, the oldest tenant first', async () => {
  const kept = new KeptLabelSets({ charsMax: 800 })
  const value = 'v'.repeat(100)
  for (const tenant of ['many', 'few']) await put(tenant, 0, [['k', value]])
  await ask(kept, { tenants: ['few'] })
  for (let i = 0; i < 6; i++) {
    await ask(kept, { tenants: ['many'], names: ['k', `n${i}`] })
    assert.ok(kept.chars <= 800, `${kept.chars}`)
  }
  // Who tells others has read them again.
  for (const tenant of ['many', 'few'])
    await database.sql`update label_sets set pairs = array['k', 'read'] where tenant = ${tenant}`
  for (const tenant of ['many', 'few']) assert.deepEqual(await ask(kept, { tenants: [tenant] }), [`k ${value}`])
})
