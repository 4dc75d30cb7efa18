/** The lease of a writer's place: renewed, lost, taken over, given back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { WRITER_LEASE_MS_DEFAULT } from '#core/placement/rate-meter.ts'
import type {
  DeregisterWriterRequest,
  OtherWritersLoad,
  RegisterWriterRequest,
  RegisterWriterResponse,
} from '#core/rpc/placement.ts'
import { Registry } from '#platform/metrics/registry.ts'
import { addRegistrationMetrics, createRegistration, LEAVE_WAIT_MS } from '../../../apps/segment-writer/registration.ts'
import { createManualClock, idle } from '../../support/manual-clock.ts'
import { createSilentLog } from '../../support/silent-log.ts'

const PLACE = { writerId: 'w:1', address: 'http://w:1' }
const RENEW_MS = WRITER_LEASE_MS_DEFAULT / 3
const DOWN = new CinderError('unavailable', 'could not be reached')

type Answer = RegisterWriterResponse | CinderError | Promise<RegisterWriterResponse>

function registered(epoch: number): RegisterWriterResponse {
  return { verdict: 'registered', epoch, generation: 10 + epoch }
}

function setUp() {
  const clock = createManualClock(1_000_000)
  const log = createSilentLog()
  const scene: { answer: Answer; skewMs: number } = { answer: registered(1), skewMs: 0 }
  const asked: RegisterWriterRequest[] = []
  const gone: DeregisterWriterRequest[] = []
  const adopted: (readonly OtherWritersLoad[] | undefined)[] = []
  const registration = createRegistration({
    placement: {
      async registerWriter(request) {
        asked.push(request)
        const { answer } = scene
        if (answer instanceof CinderError) throw answer
        return answer
      },
      async deregisterWriter(request) {
        gone.push(request)
        if (scene.answer instanceof CinderError) throw scene.answer
        return { deregistered: true, generation: 1 }
      },
    },
    clock: { sleep: (...wait) => clock.sleep(...wait), nowMs: () => clock.nowMs() + scene.skewMs },
    log,
    readRates: (nowMs) => ({
      rates: [{ tenant: 't', service: 's', bytesPerSecond: nowMs, profilesPerSecond: 1 }],
      restBytesPerSecond: 2,
      restProfilesPerSecond: 3,
    }),
    instanceId: 'life-1',
    tenantRates: { readDemands: () => [{ tenant: 't', load: 1 }], adopt: (others) => void adopted.push(others) },
  })
  const start = async () => {
    registration.start(PLACE)
    await idle()
  }
  const warnings = () => log.events.filter(({ level }) => level === 'warn').length
  return { registration, clock, scene, asked, gone, start, warnings, adopted }
}

test('it registers at once and renews three times a lease, with its rates and its epoch', async () => {
  const { registration, clock, asked, start } = setUp()
  await start()
  await clock.advance(WRITER_LEASE_MS_DEFAULT)
  assert.deepEqual(
    asked.map(({ epoch }) => epoch),
    [0, 1, 1, 1],
  )
  const { rates, restBytesPerSecond, restProfilesPerSecond, demands: _, ...term } = asked[1]!
  assert.deepEqual(term, {
    ...PLACE,
    instanceId: 'life-1',
    epoch: 1,
    state: 'serving',
    ttlMs: WRITER_LEASE_MS_DEFAULT,
  })
  assert.deepEqual([rates[0]!.bytesPerSecond, restBytesPerSecond, restProfilesPerSecond], [1_000_000 + RENEW_MS, 2, 3])
  assert.deepEqual(registration.status(), { state: 'serving', isRegistered: true, epoch: 1, generation: 11 })
})

test('it tells what tenants bring, and hands on what the others get; without an answer nothing', async () => {
  const { clock, scene, asked, start, adopted } = setUp()
  const others = { tenants: [{ tenant: 't', load: 2, writers: 3 }] }
  scene.answer = { ...registered(1), others }
  await start()
  assert.deepEqual(asked[0]!.demands, [{ tenant: 't', load: 1 }])
  scene.answer = DOWN
  await clock.advance(RENEW_MS)
  scene.answer = { verdict: 'superseded', epoch: 0, generation: 0 }
  await clock.advance(RENEW_MS)
  scene.answer = registered(2)
  await clock.advance(2 * WRITER_LEASE_MS_DEFAULT)
  await clock.advance(2 * RENEW_MS)
  // The last of them from a metastore that does not know, or an older one.
  assert.deepEqual(adopted, [others.tenants, undefined])
})

test('when a metastore is back, others are believed once they had the time to tell: shares stay until then', async () => {
  const { clock, scene, start, adopted } = setUp()
  const others = [{ tenant: 't', load: 2, writers: 3 }]
  scene.answer = { ...registered(1), others: { tenants: others } }
  await start()
  scene.answer = DOWN
  await clock.advance(2 * WRITER_LEASE_MS_DEFAULT)
  // Leases of all had run out, so that the first sums have nobody in them.
  scene.answer = { ...registered(1), others: { tenants: [] } }
  await clock.advance(RENEW_MS + 2_000)
  assert.deepEqual(adopted, [others])
  scene.answer = { ...registered(1), others: { tenants: others } }
  await clock.advance(RENEW_MS)
  assert.deepEqual(adopted, [others, others])
  scene.skewMs = -3_600_000
  await clock.advance(RENEW_MS)
  assert.ok(adopted.length > 2, 'a clock that was set back holds nothing up')
})

test('a metastore that is away is asked every second, said once, and found again', async () => {
  const { registration, clock, scene, asked, start, warnings } = setUp()
  scene.answer = DOWN
  await start()
  await clock.advance(20_000)
  assert.equal(asked.length, 21)
  assert.equal(warnings(), 1)
  assert.equal(registration.status().isRegistered, false)
  scene.answer = registered(1)
  await clock.advance(1_000)
  assert.equal(registration.status().isRegistered, true)
  scene.answer = DOWN
  await clock.advance(WRITER_LEASE_MS_DEFAULT + RENEW_MS)
  assert.equal(registration.status().isRegistered, false, 'a lease that nobody renewed is over')
})

test('a metastore that knows no writers is not asked every second', async () => {
  const { clock, scene, asked, start } = setUp()
  scene.answer = new CinderError('unimplemented', 'no such method')
  await start()
  await clock.advance(10 * RENEW_MS)
  assert.equal(asked.length, 11)
})

test('beside one that knows writers it is: an upgrade of replicas costs nobody its lease', async () => {
  const { registration, clock, scene, asked, start } = setUp()
  await start()
  scene.answer = new CinderError('unimplemented', 'no such method')
  await clock.advance(RENEW_MS)
  const before = asked.length
  scene.answer = registered(1)
  await clock.advance(1_000)
  assert.equal(asked.length, before + 1)
  await clock.advance(WRITER_LEASE_MS_DEFAULT - 2_000)
  assert.equal(registration.status().isRegistered, true)
})

test('a registration that is forgotten begins anew at once', async () => {
  const { clock, scene, asked, start } = setUp()
  await start()
  scene.answer = { verdict: 'forgotten', epoch: 0, generation: 12 }
  await clock.advance(RENEW_MS)
  assert.deepEqual(
    asked.map(({ epoch }) => epoch),
    [0, 1, 0],
  )
  await clock.advance(1_000)
  assert.equal(asked.length, 4, 'but not in a loop without end')
  scene.answer = registered(5)
  await clock.advance(1_000)
  await clock.advance(RENEW_MS)
  assert.equal(asked.at(-1)!.epoch, 5)
})

test('a place that another process took is left to it for two leases', async () => {
  const { registration, clock, scene, asked, start, warnings } = setUp()
  await start()
  scene.answer = { verdict: 'superseded', epoch: 2, generation: 12 }
  await clock.advance(RENEW_MS)
  const before = asked.length
  await clock.advance(2 * WRITER_LEASE_MS_DEFAULT - 1)
  assert.equal(asked.length, before)
  assert.equal(registration.status().isRegistered, false)
  scene.answer = registered(3)
  await clock.advance(1)
  assert.equal(asked.at(-1)!.epoch, 0)
  assert.equal(registration.status().epoch, 3)
  assert.equal(warnings(), 1)
})

test('one whose place is another process by now leaves without taking it back', async () => {
  const { registration, clock, scene, asked, gone, start } = setUp()
  await start()
  scene.answer = { verdict: 'superseded', epoch: 2, generation: 12 }
  await clock.advance(RENEW_MS)
  const before = asked.length
  scene.answer = registered(3)
  await registration.leave()
  await clock.advance(2 * WRITER_LEASE_MS_DEFAULT)
  await registration.stop()
  assert.deepEqual([asked.length, gone.length], [before, 0])
})

test('one that learns while it leaves that its place is taken does not take it back', async () => {
  const { registration, clock, scene, asked, gone, start } = setUp()
  await start()
  scene.answer = { verdict: 'superseded', epoch: 2, generation: 12 }
  await registration.leave()
  scene.answer = registered(3)
  await clock.advance(2 * WRITER_LEASE_MS_DEFAULT)
  await registration.stop()
  assert.deepEqual([asked.map(({ epoch }) => epoch), gone.length], [[0, 1], 0])
})

test('leaving is published behind the renewal that is under way, renewed, and ends with the stop', async () => {
  const { registration, clock, scene, asked, gone, start } = setUp()
  await start()
  const gate = Promise.withResolvers<RegisterWriterResponse>()
  scene.answer = gate.promise
  await clock.advance(RENEW_MS)
  const leaving = registration.leave()
  await idle()
  assert.deepEqual(
    asked.map(({ state }) => state),
    ['serving', 'serving'],
  )
  scene.answer = registered(1)
  gate.resolve(registered(1))
  await leaving
  assert.equal(asked.at(-1)!.state, 'leaving')
  await clock.advance(RENEW_MS)
  assert.deepEqual(
    asked.map(({ state }) => state),
    ['serving', 'serving', 'leaving', 'leaving'],
  )
  await registration.stop()
  assert.deepEqual(gone, [{ writerId: PLACE.writerId, instanceId: 'life-1', epoch: 1 }])
  await clock.advance(10 * RENEW_MS)
  assert.equal(asked.length, 4)
  assert.deepEqual(registration.status(), { state: 'gone', isRegistered: false, epoch: 1, generation: 11 })
})

test('a metastore that is silent or away holds up neither leaving nor the stop', async () => {
  const { registration, clock, scene, start } = setUp()
  await start()
  scene.answer = Promise.withResolvers<RegisterWriterResponse>().promise
  const leaving = registration.leave()
  await clock.advance(LEAVE_WAIT_MS)
  await leaving
  const stopping = registration.stop()
  await clock.advance(LEAVE_WAIT_MS)
  await stopping

  const away = setUp()
  await away.start()
  away.scene.answer = DOWN
  await away.registration.leave()
  await away.registration.stop()
  assert.equal(away.gone.length, 1)
})

test('a writer that never registered has nothing to give back', async () => {
  const { registration, gone, asked } = setUp()
  await registration.leave()
  await registration.stop()
  registration.start(PLACE)
  await idle()
  assert.deepEqual([asked.length, gone.length], [0, 0])
})

test('metrics say whether it has its place, and whether it leaves', async () => {
  const { registration, start } = setUp()
  const registry = new Registry()
  addRegistrationMetrics(registry, () => registration.status())
  assert.match(await registry.render(), /cinder_writer_registered 0/)
  await start()
  assert.match(await registry.render(), /cinder_writer_registered 1\n[^]*cinder_writer_leaving 0/)
  await registration.leave()
  assert.match(await registry.render(), /cinder_writer_leaving 1/)
})
