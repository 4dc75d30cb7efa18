/**
 * What every metastore must do about placement, as a function that runs for each implementation. Passes are made by hand,
 * and time passes by a lever; each test has a fleet of its own.
 */
import assert from 'node:assert/strict'
import { after, beforeEach, describe, test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { DEMANDS_MAX } from '#core/limits/rate-share.ts'
import { RATES_MAX } from '#core/placement/rate-meter.ts'
import { parsePlacementTable, type PlacementTable } from '#core/placement/table.ts'
import type { PlacementService, RegisterWriterRequest, RegisterWriterResponse } from '#core/rpc/placement.ts'

export interface PlacementHarness {
  readonly service: PlacementService
  pass(): Promise<void>
  /** As if so long had passed. */
  age(durationMs: number): Promise<void>
  /** No writer, no table. */
  clear(): Promise<void>
  close(): Promise<void>
}

const TTL_MS = 15_000

export function placementContract(name: string, create: () => Promise<PlacementHarness>): void {
  describe(`placement contract: ${name}`, () => {
    let harness: PlacementHarness | undefined
    beforeEach(async () => {
      harness ??= await create()
      await harness.clear()
    })
    after(() => harness?.close())
    const scene = () => new Scene(harness!)
    leaseContract(scene)
    tableContract(scene)
    widthContract(scene)
    demandContract(scene)
    refusalContract(scene)
  })
}

class Scene {
  readonly harness: PlacementHarness
  readonly service: PlacementService

  constructor(harness: PlacementHarness) {
    this.harness = harness
    this.service = harness.service
  }

  async register(writerId: string, change: Partial<RegisterWriterRequest> = {}) {
    return await this.service.registerWriter(registration(writerId, change))
  }

  async table(): Promise<PlacementTable> {
    const { json } = await this.service.getPlacement({ etag: '' })
    return parsePlacementTable(JSON.parse(json))
  }

  /** `id state slots` of every writer; the slots of nobody last, if there are any. */
  async shape(): Promise<string[]> {
    const { writers, owners } = await this.table()
    const slotsOf = (index: number) => owners.filter((owner) => owner === index).length
    const nobody = slotsOf(-1)
    const shown = writers.map(({ writerId, state }, index) => `${writerId} ${state} ${slotsOf(index)}`)
    return nobody === 0 ? shown : [...shown, `nobody ${nobody}`]
  }
}

function registration(writerId: string, change: Partial<RegisterWriterRequest> = {}): RegisterWriterRequest {
  return {
    writerId,
    instanceId: `life of ${writerId}`,
    epoch: 0,
    address: `http://${writerId}:4041`,
    state: 'serving',
    ttlMs: TTL_MS,
    rates: [],
    restBytesPerSecond: 0,
    restProfilesPerSecond: 0,
    demands: [],
    ...change,
  }
}

function leaseContract(scene: () => Scene): void {
  test('the same process keeps its epoch, another one takes the registration over with the next', async () => {
    const s = scene()
    const { verdict, epoch } = await s.register('a')
    assert.equal(verdict, 'registered')
    assert.equal((await s.register('a')).epoch, epoch, 'its answer may have been lost')
    assert.equal((await s.register('a', { epoch })).epoch, epoch)
    const other = await s.register('a', { instanceId: 'second life', address: 'http://elsewhere' })
    assert.deepEqual([other.verdict, other.epoch], ['registered', epoch + 1])
  })

  test('a renewal by a term that is over changes nothing and says whose the registration is', async () => {
    const s = scene()
    const { epoch } = await s.register('a')
    const other = await s.register('a', { instanceId: 'second life', address: 'http://elsewhere' })
    const { verdict } = await s.register('a', { epoch, state: 'leaving' })
    assert.equal(verdict, 'superseded')
    assert.equal((await s.register('a', { epoch: other.epoch })).verdict, 'superseded', 'an epoch of another life')
    const gone = await s.service.deregisterWriter({ writerId: 'a', instanceId: 'life of a', epoch })
    assert.equal(gone.deregistered, false)
    const table = await s.table()
    assert.deepEqual(table.writers, [{ writerId: 'a', address: 'http://elsewhere', state: 'serving' }])
    assert.equal((await s.register('b', { epoch: 1 })).verdict, 'forgotten', 'nobody ever had it')
  })

  test('an epoch that was raised over the head of a writer is no other process, and it begins anew at once', async () => {
    const s = scene()
    const { epoch } = await s.register('a')
    assert.equal((await s.register('a', { epoch: epoch + 7 })).verdict, 'forgotten')
    const again = await s.register('a')
    assert.deepEqual([again.verdict, again.epoch], ['registered', epoch])
  })

  test('a lease that ran out can be renewed: nobody else began one', async () => {
    const s = scene()
    const { epoch } = await s.register('a')
    await s.register('b')
    await s.harness.age(TTL_MS + 1_000)
    await s.register('b', { epoch: 1 })
    await s.harness.pass()
    assert.deepEqual(
      (await s.table()).writers.map(({ state }) => state),
      ['leaving', 'serving'],
    )
    const renewed = await s.register('a', { epoch })
    assert.deepEqual([renewed.verdict, renewed.epoch], ['registered', epoch])
    assert.deepEqual(
      (await s.table()).writers.map(({ state }) => state),
      ['serving', 'serving'],
    )
  })

  test('after a long outage the first pass forgets nobody', async () => {
    const s = scene()
    const { epoch } = await s.register('a')
    await s.register('b')
    await s.harness.age(11_000)
    await s.harness.pass()
    await s.harness.age(60 * 60_000)
    await s.harness.pass()
    await s.register('a', { epoch })
    await s.harness.pass()
    assert.deepEqual(
      (await s.table()).writers.map(({ writerId }) => writerId),
      ['a', 'b'],
    )
  })

  test('a registration that nobody renews is forgotten, ten minutes after a pass saw it run out', async () => {
    const s = scene()
    const { epoch } = await s.register('a')
    for (let i = 0; i < 2; i++) {
      await s.harness.age(11 * 60_000)
      await s.harness.pass()
    }
    assert.equal((await s.register('a', { epoch })).verdict, 'forgotten')
    assert.equal((await s.register('a')).verdict, 'registered')
  })
}

function tableContract(scene: () => Scene): void {
  test('before the first writer there is a table that has none', async () => {
    const s = scene()
    const first = await s.service.getPlacement({ etag: '' })
    assert.deepEqual(await s.shape(), ['nobody 1024'])
    assert.deepEqual(await s.service.getPlacement({ etag: first.etag }), { etag: first.etag, json: '' })
  })

  test('who is registered is in the table when it is told so', async () => {
    const s = scene()
    const first = await s.register('a')
    assert.deepEqual(await s.shape(), ['a serving 1024'])
    assert.equal((await s.table()).generation, first.generation)
    const second = await s.register('b')
    assert.deepEqual(await s.shape(), ['a serving 1024', 'b serving 0'])
    assert.ok(second.generation > first.generation)
    await s.harness.age(11_000)
    await s.harness.pass()
    const [a, b] = (await s.shape()).map((each) => Number(each.split(' ')[2]))
    assert.equal(a! + b!, 1_024)
    assert.ok(Math.abs(a! - b!) <= 2)
  })

  test('an unchanged table has the same tag and no content, a changed one both', async () => {
    const s = scene()
    await s.register('a')
    const { etag, json } = await s.service.getPlacement({ etag: '' })
    assert.notEqual(json, '')
    await s.register('a', { epoch: 1 })
    await s.harness.pass()
    assert.deepEqual(await s.service.getPlacement({ etag }), { etag, json: '' })
    await s.register('b')
    const changed = await s.service.getPlacement({ etag })
    assert.notEqual(changed.etag, etag)
    assert.equal(parsePlacementTable(JSON.parse(changed.json)).writers.length, 2)
  })

  test('a writer that leaves, goes and comes back keeps its slots, and edges know at once', async () => {
    const s = scene()
    const a = await s.register('a')
    const b = await s.register('b')
    await s.harness.age(11_000)
    await s.harness.pass()
    const before = await s.table()
    const leaving = await s.register('b', { epoch: b.epoch, state: 'leaving' })
    assert.deepEqual(
      (await s.table()).writers.map(({ state }) => state),
      ['serving', 'leaving'],
    )
    assert.ok(leaving.generation > before.generation)
    const gone = await s.service.deregisterWriter({ writerId: 'b', instanceId: 'life of b', epoch: b.epoch })
    assert.equal(gone.deregistered, true)
    assert.deepEqual(
      (await s.table()).writers.map(({ writerId }) => writerId),
      ['a'],
    )
    assert.equal(
      (await s.service.deregisterWriter({ writerId: 'b', instanceId: 'life of b', epoch: b.epoch })).deregistered,
      false,
    )
    await s.harness.age(10_000)
    await s.register('a', { epoch: a.epoch })
    await s.register('b', { instanceId: 'second life' })
    assert.deepEqual((await s.table()).owners, before.owners)
  })

  test('the slots of one that stays away go to the others', async () => {
    const s = scene()
    const a = await s.register('a')
    await s.register('b')
    await s.harness.age(11_000)
    await s.harness.pass()
    for (let step = 0; step < 5; step++) {
      await s.harness.age(14_000)
      await s.register('a', { epoch: a.epoch })
      await s.harness.pass()
    }
    assert.deepEqual((await s.shape()).slice(0, 1), ['a serving 512'])
    await s.harness.age(14_000)
    await s.register('a', { epoch: a.epoch })
    await s.harness.pass()
    assert.deepEqual(await s.shape(), ['a serving 1024'])
  })
}

function widthContract(scene: () => Scene): void {
  const rate = (service: string, profilesPerSecond: number) => ({
    tenant: 't',
    service,
    bytesPerSecond: 1_000,
    profilesPerSecond,
  })

  test('rates of all writers make the width of a service; those of a writer that is gone do not', async () => {
    const s = scene()
    await s.register('a', { rates: [rate('busy', 300), rate('calm', 10)] })
    await s.register('b', { rates: [rate('busy', 500)] })
    await s.harness.pass()
    assert.deepEqual((await s.table()).widths.services, [{ tenant: 't', service: 'busy', width: 12 }])
    await s.harness.age(TTL_MS + 1_000)
    await s.register('a', { epoch: 1, rates: [rate('busy', 1_100), rate('late', 300)] })
    await s.harness.pass()
    assert.deepEqual((await s.table()).widths.services, [
      { tenant: 't', service: 'busy', width: 12 },
      { tenant: 't', service: 'late', width: 4 },
    ])
  })

  test('what a client calls its service costs no writer its registration', async () => {
    const s = scene()
    const names = ['a\0b', 'x'.repeat(4_097), 'größe "\\{}, null', '\ud800']
    const { verdict } = await s.register('a', { rates: names.map((name) => rate(name, 300)) })
    assert.equal(verdict, 'registered')
    await s.harness.pass()
    const { services } = (await s.table()).widths
    assert.equal(services.length, 2)
    assert.ok(services.some(({ service }) => service === 'größe "\\{}, null'))
  })

  test('a width goes down after ten minutes', async () => {
    const s = scene()
    await s.register('a', { rates: [rate('busy', 800)] })
    await s.harness.pass()
    await s.register('a', { epoch: 1 })
    await s.harness.pass()
    assert.equal((await s.table()).widths.services[0]!.width, 12)
    for (const width of [12, 6]) {
      await s.harness.age(601_000)
      await s.register('a', { instanceId: `${width}` })
      await s.harness.pass()
      assert.equal((await s.table()).widths.services[0]!.width, width)
    }
  })

  test('a tenant gets the slots that were chosen for it, and all again', async () => {
    const s = scene()
    await s.register('a')
    assert.deepEqual(await s.service.setTenantWidth({ tenant: 't', width: 16 }), { before: 0 })
    assert.deepEqual(await s.service.setTenantWidth({ tenant: 't', width: 32 }), { before: 16 })
    await s.harness.pass()
    assert.deepEqual((await s.table()).widths.tenants, [{ tenant: 't', width: 32 }])
    assert.deepEqual(await s.service.setTenantWidth({ tenant: 't', width: 0 }), { before: 32 })
    await s.harness.pass()
    assert.deepEqual((await s.table()).widths.tenants, [])
  })
}

function demandContract(scene: () => Scene): void {
  const demand = (tenant: string, load: number) => ({ tenant, load })
  const sorted = (answer: RegisterWriterResponse) =>
    answer.others?.tenants.toSorted((a, b) => (a.tenant < b.tenant ? -1 : 1))

  test('a writer hears what its tenants bring to the others, once a pass has summed it', async () => {
    const s = scene()
    const demands = [demand('big', 0.8), demand('small', 0.1), demand('own', 3)]
    assert.equal((await s.register('a', { demands })).others, undefined, 'nobody knows')
    await s.register('b', { demands: [demand('big', 0.5), demand('small', 0.1)] })
    await s.register('c', { demands: [demand('big', 0.25)] })
    await s.harness.pass()
    const a = await s.register('a', { epoch: 1, demands: demands.map((each) => ({ ...each, load: each.load * 2 })) })
    // Of `small` there is less than half of the limit in all, of `own` nothing elsewhere.
    assert.deepEqual(sorted(a), [{ tenant: 'big', load: 0.75, writers: 3 }])
    const d = await s.register('d', { demands: [demand('big', 1), demand('new', 1)] })
    assert.deepEqual(sorted(d), [{ tenant: 'big', load: 1.55, writers: 4 }], 'one that had not told before')
    assert.deepEqual(sorted(await s.register('b', { epoch: 1 })), [], 'who tells of nobody hears of nobody')
  })

  test('a demand goes with its writer', async () => {
    const s = scene()
    const demands = [demand('t', 1)]
    await s.register('a', { demands })
    await s.register('b', { demands })
    await s.register('c', { demands })
    await s.harness.pass()
    assert.deepEqual(sorted(await s.register('a', { epoch: 1, demands })), [{ tenant: 't', load: 2, writers: 3 }])
    await s.service.deregisterWriter({ writerId: 'c', instanceId: 'life of c', epoch: 1 })
    await s.harness.pass()
    assert.deepEqual(sorted(await s.register('a', { epoch: 1, demands })), [{ tenant: 't', load: 1, writers: 2 }])
    await s.harness.age(TTL_MS + 1_000)
    await s.register('a', { epoch: 1, demands })
    await s.harness.pass()
    assert.deepEqual(sorted(await s.register('a', { epoch: 1, demands })), [], 'the lease of the other ran out')
  })

  test('a tenant whose name cannot be kept costs no writer its registration', async () => {
    const s = scene()
    const names = ['a\0b', 'x'.repeat(4_097), 'größe "\\{}, null']
    for (const writer of ['a', 'b']) await s.register(writer, { demands: names.map((name) => demand(name, 1)) })
    await s.harness.pass()
    const again = await s.register('a', { epoch: 1, demands: [demand(names[2]!, 1)] })
    assert.deepEqual(sorted(again), [{ tenant: names[2]!, load: 1, writers: 2 }])
  })
}

function refusalContract(scene: () => Scene): void {
  const oneRate = { tenant: 't', service: 's', bytesPerSecond: 1, profilesPerSecond: 1 }
  const refused: [name: string, change: Partial<RegisterWriterRequest>, message: RegExp][] = [
    ['an id', { writerId: 'a b' }, /writer id/],
    ['an address', { address: 'file:///etc' }, /address/],
    ['no process', { instanceId: '' }, /instance id/],
    ['a state', { state: 'gone' }, /allowed serving and leaving/],
    ['a lease that is too short', { ttlMs: 999 }, /999 ms; allowed 1000 to 300000/],
    ['a lease that is too long', { ttlMs: 300_001 }, /300001 ms/],
    ['a lease that is no number', { ttlMs: Number.NaN }, /NaN ms/],
    ['an epoch', { epoch: -1 }, /epoch -1/],
    ['a rate', { rates: [{ ...oneRate, bytesPerSecond: -1 }] }, /a rate of -1/],
    ['a rate without end', { restProfilesPerSecond: Number.POSITIVE_INFINITY }, /a rate of Infinity/],
    ['a demand', { demands: [{ tenant: 't', load: -1 }] }, /a rate of -1/],
    [
      'too many demands',
      { demands: Array.from({ length: DEMANDS_MAX + 1 }, () => ({ tenant: 't', load: 1 })) },
      /257 demands; allowed 256/,
    ],
    ['too many rates', { rates: Array.from({ length: RATES_MAX + 1 }, () => oneRate) }, /257 rates; allowed 256/],
  ]
  test('what is not allowed is refused with what is', async () => {
    const s = scene()
    for (const [name, change, message] of refused) {
      await assert.rejects(
        s.register('a', change),
        (error) => error instanceof CinderError && error.kind === 'invalid_argument' && message.test(error.message),
        name,
      )
    }
    for (const width of [-1, 1.5, 1_025]) {
      await assert.rejects(s.service.setTenantWidth({ tenant: 't', width }), /slots; allowed 1 to 1024/)
    }
    assert.deepEqual(await s.shape(), ['nobody 1024'])
  })
}
