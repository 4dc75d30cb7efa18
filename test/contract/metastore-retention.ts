/** What every metastore must do about retention; a part of metastore-tenants.ts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MS_PER_DAY, MS_PER_HOUR } from '#core/units.ts'
import type { Scene } from '../support/tenant-scene.ts'

const DAY = MS_PER_DAY

export function retentionContract(scene: () => Scene): void {
  const rule = async (s: Scene, days: number, service = '') =>
    await s.service.setRetention({ tenant: s.tenant, service, retentionMs: days * DAY, delayMs: 0 })

  test('data expires by its own time, with its newest hour, and never a minute early (H61, H64)', async () => {
    const s = scene()
    await s.commit(s.id('old'), [{ tenant: s.tenant, ageMs: 40 * DAY }])
    await s.commit(s.id('edge'), [{ tenant: s.tenant, ageMs: 31 * DAY - MS_PER_HOUR }])
    await s.commit(s.id('new'), [{ tenant: s.tenant }, { tenant: s.other, ageMs: 40 * DAY }])
    await rule(s, 31)
    await s.harness.runRetention()
    assert.deepEqual(await s.planned(), [`${s.id('edge')}/0`, `${s.id('new')}/0`])
    assert.deepEqual(await s.planned(s.other), [`${s.id('new')}/1`], 'another tenant has another rule')
    const swept = await s.sweep()
    assert.ok(swept.includes(s.id('old')) && !swept.includes(s.id('edge')) && !swept.includes(s.id('new')))
  })

  test('an old arrival that holds recent data is kept, and recent data beside old stays (H61)', async () => {
    const s = scene()
    await rule(s, 7)
    await s.commit(s.id('mix'), [
      { tenant: s.tenant, service: 'a' },
      { tenant: s.tenant, service: 'b', ageMs: 6 * DAY },
    ])
    await s.harness.runRetention()
    assert.deepEqual(await s.planned(), [`${s.id('mix')}/0`, `${s.id('mix')}/1`])
  })

  test('a service may have a rule of its own, shorter, longer or for ever; labels go with their data (H31)', async () => {
    const s = scene()
    const services = ['short', 'long', 'ever', 'plain']
    await s.commit(
      s.id('a'),
      services.map((service) => ({ tenant: s.tenant, service, ageMs: 10 * DAY })),
    )
    await rule(s, 8)
    await rule(s, 2, 'short')
    await rule(s, 60, 'long')
    await rule(s, 0, 'ever')
    await s.commit(
      s.id('b'),
      services.map((service) => ({ tenant: s.tenant, service, ageMs: 5 * DAY })),
    )
    await s.harness.runRetention()
    const kept = [`${s.id('a')}/1`, `${s.id('a')}/2`, `${s.id('b')}/1`, `${s.id('b')}/2`, `${s.id('b')}/3`]
    assert.deepEqual(await s.planned(), kept)
    assert.deepEqual(await s.labelled(), ['ever', 'long', 'plain'])
  })

  test('a shortening is announced, previewed and can be cancelled; nothing goes before its time (H62)', async () => {
    const s = scene()
    await s.commit(s.id('a'), [
      { tenant: s.tenant, ageMs: 10 * DAY },
      { tenant: s.tenant, service: 'b' },
    ])
    const status = await s.service.setRetention({ tenant: s.tenant, service: '', retentionMs: 5 * DAY })
    assert.equal(status.pendingRetentionMs, 5 * DAY)
    assert.ok(Math.abs(status.pendingFromMs - (await s.harness.nowMs()) - DAY) < MS_PER_HOUR)
    const preview = await s.service.previewRetention({ tenant: s.tenant, service: '' })
    assert.deepEqual([preview.datasets, preview.objects, preview.bytes], [1, 1, 1_000])
    assert.ok(preview.oldestMs > 0 && preview.newestMs < preview.boundMs)
    await s.harness.runRetention()
    assert.equal((await s.planned()).length, 2)
    const again = await s.service.setRetention({ tenant: s.tenant, service: '', retentionMs: 5 * DAY })
    assert.equal(again.pendingFromMs, status.pendingFromMs, 'a repeat does not start the delay anew')
    const cancelled = await s.service.cancelRetention({ tenant: s.tenant, service: '' })
    assert.equal(cancelled.pendingFromMs, 0)
    await assert.rejects(s.service.cancelRetention({ tenant: s.tenant, service: '' }), { kind: 'failed_precondition' })
    await s.harness.runRetention()
    assert.equal((await s.planned()).length, 2)
    await s.service.setRetention({ tenant: s.tenant, service: '', retentionMs: 5 * DAY })
    await s.harness.endAnnouncement(s.tenant, '')
    const expired = await s.harness.runRetention()
    assert.ok(expired.datasets >= preview.datasets)
    assert.deepEqual(await s.planned(), [`${s.id('a')}/1`])
  })

  test('the bound never falls: what expired does not come back by a looser rule or a late commit (H19)', async () => {
    const s = scene()
    await rule(s, 5)
    await s.harness.runRetention()
    await rule(s, 90)
    const expired = await s.commit(s.id('late'), [
      { tenant: s.tenant, ageMs: 10 * DAY },
      { tenant: s.other, ageMs: 10 * DAY },
    ])
    assert.deepEqual(expired, [0], 'its pushes are told')
    await s.commit(s.id('within'), [{ tenant: s.tenant, ageMs: 4 * DAY }])
    await s.commit(s.id('dead'), [{ tenant: s.tenant, ageMs: 10 * DAY }])
    assert.deepEqual(await s.planned(), [`${s.id('within')}/0`])
    assert.deepEqual(await s.planned(s.other), [`${s.id('late')}/1`])
    assert.ok((await s.sweep()).includes(s.id('dead')))
    const { rules } = await s.service.listRetention({})
    const own = rules.find(({ tenant }) => tenant === s.tenant)!
    assert.equal(own.retentionMs, 90 * DAY)
    assert.ok(own.boundMs > (await s.harness.nowMs()) - 6 * DAY)
  })

  test('retention takes a source away from a running merge: the output is not published (H37)', async () => {
    const s = scene()
    await s.commit(s.id('a'), [{ tenant: s.tenant, ageMs: 10 * DAY }, { tenant: s.other }])
    const job = await s.claim(s.id('a'))
    await rule(s, 5)
    await s.harness.runRetention()
    assert.equal(await s.finish(job, s.id('out')), 'stale')
    assert.deepEqual([await s.planned(), await s.planned(s.other)], [[], [`${s.id('a')}/1`]])
  })

  test('merged data expires too, and an object goes with its last dataset (H20)', async () => {
    const s = scene()
    await s.commit(s.id('a'), [{ tenant: s.tenant, ageMs: 10 * DAY }, { tenant: s.other }])
    assert.equal(await s.finish(await s.claim(s.id('a')), s.id('out')), 'committed')
    await rule(s, 5)
    await s.harness.runRetention()
    assert.deepEqual([await s.planned(), await s.planned(s.other)], [[], [`${s.id('out')}/1`]])
    const swept = await s.sweep()
    assert.ok(swept.includes(s.id('a')) && !swept.includes(s.id('out')))
  })

  const refused: [string, (s: Scene) => Promise<unknown>][] = [
    ['a retention of a minute', (s) => s.service.setRetention({ tenant: s.tenant, service: '', retentionMs: 60_000 })],
    ['a negative delay', (s) => s.service.deleteTenant({ tenant: s.tenant, delayMs: -1 })],
    ['a tenant without a name', (s) => s.service.deleteTenant({ tenant: '' })],
    ['the default, which is a setting', (s) => s.service.setRetention({ tenant: '', service: '', retentionMs: DAY })],
    ['a service of no tenant', (s) => s.service.previewRetention({ tenant: '', service: 'web', retentionMs: DAY })],
  ]
  for (const [name, call] of refused) {
    test(`${name} is refused as the caller's fault`, async () => {
      await assert.rejects(call(scene()), { kind: 'invalid_argument', outcome: 'not-applied' })
    })
  }
}
