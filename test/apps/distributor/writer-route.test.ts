/** A push cut by writers and put together again. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CinderError } from '#core/errors.ts'
import type { LabelPair } from '#core/labels/labels.ts'
import type { PlacementRouter, RouteKey } from '#core/placement/route.ts'
import type { ProfileVerdict, WriteProfile, WriteRequest, WriteSeries } from '#core/rpc/segment-writer.ts'
import {
  failedVerdicts,
  isFreed,
  isRefusedByWriter,
  joinVerdicts,
  laterVerdicts,
  requestOf,
  type RouteUnit,
  routeUnits,
  splitVerdicts,
} from '../../../apps/distributor/writer-route.ts'
import { STORED } from '../../support/verdicts.ts'

const REFUSED: ProfileVerdict = { ...STORED, status: 'rejected', kind: 'unavailable', retryAfterMs: 1_000 }
const BAD: ProfileVerdict = { ...STORED, status: 'rejected', kind: 'invalid_argument' }

function pairs(labels: Readonly<Record<string, string>>): LabelPair[] {
  return Object.entries(labels).map(([name, value]) => ({ name, value }))
}

function series(labels: Readonly<Record<string, string>>, profiles = 1): WriteSeries {
  return {
    labels: pairs(labels),
    profiles: Array.from({ length: profiles }, (_, i) => ({ bytes: new Uint8Array(10 + i), clientId: '' })),
  }
}

/** Writer by the first letter of the service. */
function remember(): { router: PlacementRouter; keys: RouteKey[] } {
  const keys: RouteKey[] = []
  return {
    keys,
    router: {
      order(key) {
        keys.push(key)
        return key.service.startsWith('a') ? [0, 1] : [1, 0]
      },
    },
  }
}

function cut(list: readonly WriteSeries[]) {
  const { router, keys } = remember()
  const request: WriteRequest = { tenant: 'acme', series: [...list] }
  return { request, keys, units: routeUnits(request, router) }
}

test('equal labels are one unit, whatever their order, and the hash of the series is of the sorted labels', () => {
  const { units, keys } = cut([
    series({ service_name: 'a', pod: '1' }, 2),
    series({ service_name: 'b' }),
    series({ pod: '1', service_name: 'a' }),
  ])
  assert.deepEqual(
    units.map(({ at, order, sizeBytes }) => ({ at, order, sizeBytes })),
    [
      { at: [0, 3], order: [0, 1], sizeBytes: 31 },
      { at: [2], order: [1, 0], sizeBytes: 10 },
    ],
  )
  const alone = cut([series({ pod: '1', service_name: 'a' })])
  assert.deepEqual(alone.keys[0], keys[0], 'alone or among others, a series has one place')
})

test('the service is what the writer will name it', () => {
  const ingest = { spyName: '', fromNanos: 0n, sampleTypeConfig: new Uint8Array(0), format: 'groups' }
  const list: readonly WriteSeries[] = [
    series({ service_name: 'shop' }),
    series({ pod: 'x' }),
    { ...series({}), ingest: { ...ingest, app: 'shop.alloc_space' } },
    { ...series({}), ingest: { ...ingest, app: 'shop.unheard' } },
  ]
  const services = list.map((one) => cut([one]).keys[0]!.service)
  assert.deepEqual(services, ['shop', 'unknown_service', 'shop', 'shop.unheard'])
})

test('a call has its series in the order of the request', () => {
  const { request, units } = cut([
    series({ service_name: 'a' }),
    series({ service_name: 'b' }),
    series({ service_name: 'a' }),
  ])
  assert.deepEqual(requestOf(request, units).series, request.series)
  assert.deepEqual(requestOf(request, [units[1]!]).series, [request.series[1]])
  assert.equal(requestOf({ ...request, isImport: true }, units).isImport, true)
})

test('whatever a push holds, its verdicts come back in its order', () => {
  const one = fc.record({ service: fc.constantFrom('a1', 'a2', 'b1', 'b2'), profiles: fc.integer({ min: 1, max: 3 }) })
  const property = fc.property(fc.array(one, { minLength: 1, maxLength: 12 }), (specs) => {
    const { request, units } = cut(specs.map(({ service, profiles }) => series({ service_name: service }, profiles)))
    // Numbered by where they are in the request, through the labels that tell nothing of it.
    const numbers = new Map<WriteSeries['profiles'][number], number>()
    for (const { profiles } of request.series) for (const profile of profiles) numbers.set(profile, numbers.size)
    const verdicts: ProfileVerdict[][] = units.map(() => [])
    for (const writer of [0, 1]) {
      const mine = [...units.keys()].filter((index) => units[index]!.order[0] === writer)
      if (mine.length === 0) continue
      const call = requestOf(
        request,
        mine.map((index) => units[index]!),
      )
      const answer = call.series.flatMap(({ profiles }) =>
        profiles.map((profile) => ({ ...STORED, decompressedBytes: numbers.get(profile)! })),
      )
      const split = splitVerdicts(
        answer,
        mine.map((index) => units[index]!),
      )
      mine.forEach((index, i) => (verdicts[index] = split![i]!))
    }
    const joined = joinVerdicts(units, verdicts).map(({ decompressedBytes }) => decompressedBytes)
    assert.deepEqual(joined, [...numbers.values()])
  })
  fc.assert(property)
})

test('a body of text has as many verdicts as it holds profiles; among others nothing says whose they are', () => {
  const { units } = cut([series({ service_name: 'a' })])
  const split = splitVerdicts([STORED, STORED, STORED], units)!
  assert.equal(split[0]!.length, 3)
  assert.equal(joinVerdicts(units, split).length, 3)
  const two = cut([series({ service_name: 'a' }), series({ service_name: 'b' })])
  assert.equal(splitVerdicts([STORED, BAD, STORED], two.units), undefined)
  assert.deepEqual(joinVerdicts(two.units, [[STORED, BAD, STORED], []]), [STORED, BAD, STORED])
})

test('what one writer stored stays stored, what it refused has the verdict of the next', () => {
  const duplicate = { ...STORED, status: 'duplicate' }
  assert.deepEqual(laterVerdicts(undefined, [duplicate]), [duplicate])
  assert.deepEqual(laterVerdicts([STORED, REFUSED], [duplicate, STORED]), [STORED, STORED])
  assert.deepEqual(laterVerdicts([REFUSED, BAD], [STORED, BAD]), [STORED, BAD])
})

test('another writer is asked for what this one could not take, not for what is wrong or over a rate', () => {
  assert.equal(isRefusedByWriter([STORED, REFUSED]), true)
  assert.equal(isRefusedByWriter([BAD, STORED]), false)
  assert.equal(isRefusedByWriter([{ ...REFUSED, kind: 'resource_exhausted' }]), false)
})

test('profiles that nobody answered for have the error as their verdict', () => {
  const { units } = cut([series({ service_name: 'a' }, 2)])
  const error = new CinderError('unavailable', 'gone', { reason: 'no_writer', retryAfterMs: 700 })
  const verdict = { ...REFUSED, reason: 'no_writer', message: 'gone', retryAfterMs: 700 }
  assert.deepEqual(failedVerdicts(units[0]!, error), [verdict, verdict])
})

test('a body that was given back is noticed', () => {
  const { units } = cut([series({ service_name: 'a' }, 2)])
  assert.equal(isFreed(units[0]!), false)
  units[0]!.series[0]!.profiles[1]!.bytes = new Uint8Array(0)
  assert.equal(isFreed(units[0]!), true)
})

test('a series of millions of profiles has its verdicts as any other', () => {
  const profile = { bytes: new Uint8Array(0), clientId: '' }
  const count = 2_000_000
  const unitOf = (at: number, profiles: number): RouteUnit => ({
    series: [{ labels: [], profiles: Array.from({ length: profiles }, (): WriteProfile => profile) }],
    at: [at],
    order: [],
    sizeBytes: 0,
  })
  const units = [unitOf(1, count), unitOf(0, 1)]
  const answer = Array.from({ length: count + 1 }, () => STORED)
  const split = splitVerdicts(answer, units)!
  assert.deepEqual(
    split.map(({ length }) => length),
    [count, 1],
  )
  assert.equal(joinVerdicts(units, split).length, count + 1)
})
