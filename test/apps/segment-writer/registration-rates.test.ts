/** What a writer says that it takes in. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RateMeter } from '#core/placement/rate-meter.ts'
import type { ProfileVerdict, WriteSeries } from '#core/rpc/segment-writer.ts'
import { meterRates } from '../../../apps/segment-writer/registration-rates.ts'

function verdict(status: string, decompressedBytes: number): ProfileVerdict {
  return { status, kind: '', reason: '', message: '', retryAfterMs: 0, decompressedBytes }
}

function series(service: string, profiles: number): WriteSeries {
  return {
    labels: [{ name: 'service_name', value: service }],
    profiles: Array.from({ length: profiles }, () => ({ bytes: new Uint8Array(1), clientId: '' })),
  }
}

/** Shares of what was noted, by service: rates after any time have the same proportion. */
async function noted(list: WriteSeries[], verdicts: ProfileVerdict[]): Promise<Record<string, [number, number]>> {
  const meter = new RateMeter(0)
  const writer = meterRates({ write: async () => ({ verdicts }) }, meter)
  await writer.write({ tenant: 'acme', series: list })
  await writer.write({ tenant: 'one', series: [series('unit', 1)] })
  const { rates } = meter.read(1_000)
  const unit = rates.find(({ tenant }) => tenant === 'one')
  const scale = unit!.profilesPerSecond / verdicts.filter(({ status }) => status !== 'rejected').length
  const own = rates.filter(({ tenant }) => tenant === 'acme')
  return Object.fromEntries(
    own.map(({ service, bytesPerSecond, profilesPerSecond }) => [
      service,
      [Math.round(bytesPerSecond / scale), Math.round(profilesPerSecond / scale)],
    ]),
  )
}

test('bytes and profiles count for the service that they came for', async () => {
  const verdicts = [verdict('stored', 100), verdict('duplicate', 50), verdict('stored', 7)]
  assert.deepEqual(await noted([series('shop', 2), series('cart', 1)], verdicts), { shop: [150, 2], cart: [7, 1] })
})

test('what is refused is no load', async () => {
  const verdicts = [verdict('rejected', 100), verdict('stored', 7), verdict('rejected', 3)]
  assert.deepEqual(await noted([series('shop', 2), series('cart', 1)], verdicts), { shop: [7, 1] })
})

test('a body of text counts as all that it holds', async () => {
  const verdicts = [verdict('stored', 1), verdict('stored', 2), verdict('stored', 3)]
  assert.deepEqual(await noted([series('text', 1)], verdicts), { text: [6, 3] })
})

test('a call that fails counts nothing', async () => {
  const meter = new RateMeter(0)
  const writer = meterRates({ write: () => Promise.reject(new Error('full')) }, meter)
  await assert.rejects(writer.write({ tenant: 'acme', series: [series('shop', 1)] }), /full/)
  assert.deepEqual(meter.read(1_000).rates, [])
})
