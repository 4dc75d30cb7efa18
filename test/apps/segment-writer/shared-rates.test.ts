/** One limit over two writers, by the parts that run: their registrations, their buckets, and the placement between them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { MS_PER_MINUTE, MS_PER_SECOND } from '#core/units.ts'
import { createRegistration } from '../../../apps/segment-writer/registration.ts'
import { TenantRates } from '../../../apps/segment-writer/tenant-rates.ts'
import { createManualClock, idle } from '../../support/manual-clock.ts'
import { PlacementTwin } from '../../support/metastore-twin/placement.ts'
import { createSilentLog } from '../../support/silent-log.ts'

const LIMIT_BYTES = 1_000
const NO_RATES = { rates: [], restBytesPerSecond: 0, restProfilesPerSecond: 0 }

async function startFleet(names: readonly string[]) {
  const clock = createManualClock(1_750_000_000_000)
  const placement = new PlacementTwin(() => clock.nowMs())
  const scene = { isMetastoreAway: false }
  const writers = names.map((name) => {
    const limits = { ...DEFAULT_LIMITS, ingestionRateBytes: LIMIT_BYTES, ingestionBurstBytes: LIMIT_BYTES }
    const rates = new TenantRates(() => limits)
    const registration = createRegistration({
      placement: {
        async registerWriter(request) {
          if (scene.isMetastoreAway) throw new CinderError('unavailable', 'away')
          return await placement.registerWriter(request)
        },
        deregisterWriter: (request) => placement.deregisterWriter(request),
      },
      clock,
      log: createSilentLog(),
      readRates: () => NO_RATES,
      tenantRates: rates,
      instanceId: `life of ${name}`,
    })
    registration.start({ writerId: name, address: `http://${name}` })
    return { rates, registration }
  })
  await idle()
  /** What both take of a tenant that sends twice its limit to each. */
  const takeFor = async (durationMs: number): Promise<number[]> => {
    const taken = writers.map(() => 0)
    for (let ms = 0; ms < durationMs; ms += 100) {
      await clock.advance(100)
      if (!scene.isMetastoreAway && clock.nowMs() % (5 * MS_PER_SECOND) === 2_500) placement.pass()
      writers.forEach(({ rates }, i) => {
        for (let push = 0; push < 2; push++) {
          try {
            rates.take('t', LIMIT_BYTES / 10, clock.nowMs())
            taken[i]! += LIMIT_BYTES / 10
          } catch (error) {
            assert.ok(error instanceof CinderError && error.kind === 'resource_exhausted')
          }
        }
      })
    }
    return taken.map((bytes) => (bytes / LIMIT_BYTES / durationMs) * MS_PER_SECOND)
  }
  return { writers, takeFor, scene }
}

test('two writers give a tenant its limit once, and half of it each', async () => {
  const { takeFor } = await startFleet(['a', 'b'])
  const [early, late] = [
    await takeFor(5 * MS_PER_SECOND),
    (await takeFor(30 * MS_PER_SECOND), await takeFor(MS_PER_MINUTE)),
  ]
  assert.ok(early[0]! + early[1]! > 1.5, `nobody knows yet: ${early}`)
  assert.ok(Math.abs(late[0]! + late[1]! - 1) < 0.06, `${late}`)
  assert.ok(Math.abs(late[0]! - late[1]!) < 0.1, `${late}`)
})

test('while the metastore is away the shares stay; the one that is left has all of it again', async () => {
  const { writers, takeFor, scene } = await startFleet(['a', 'b'])
  await takeFor(30 * MS_PER_SECOND)
  scene.isMetastoreAway = true
  const away = await takeFor(3 * MS_PER_MINUTE)
  assert.ok(Math.abs(away[0]! + away[1]! - 1) < 0.06, `${away}`)
  scene.isMetastoreAway = false
  await takeFor(10 * MS_PER_SECOND)
  await writers[1]!.registration.stop()
  await takeFor(30 * MS_PER_SECOND)
  const [left] = await takeFor(MS_PER_MINUTE)
  assert.ok(Math.abs(left! - 1) < 0.06, `${left}`)
})

test('a writer alone has all of the limit from the start', async () => {
  const { takeFor } = await startFleet(['a'])
  await takeFor(2 * MS_PER_SECOND)
  const [taken] = await takeFor(MS_PER_MINUTE)
  assert.ok(Math.abs(taken! - 1) < 0.01, `${taken}`)
})
