/**
 * What every metastore must do about tenants and retention, as a function that runs for each implementation. Nothing
 * happens by itself: duties run by hand, and delays end by a lever.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { LATE_COMMIT_MS } from '#core/retention/tenant-object.ts'
import { makeUlid } from '#core/wire/ulid.ts'
import { makeSegment } from '../support/metastore-requests.ts'
import { Scene, type TenantsHarness } from '../support/tenant-scene.ts'
import { retentionContract } from './metastore-retention.ts'

export function tenantsContract(name: string, create: () => Promise<TenantsHarness>): void {
  describe(`tenants contract: ${name}`, () => {
    let harness: TenantsHarness
    let made = 0
    before(async () => {
      harness = await create()
    })
    after(() => harness.close())
    const scene = () => new Scene(harness, ++made)
    deletionContract(scene)
    labelEpochContract(scene)
    inFlightContract(scene)
    retentionContract(scene)
  })
}

function deletionContract(scene: () => Scene): void {
  test('a deletion hides everything at once, before any duty ran, and nothing of others (H65)', async () => {
    const s = scene()
    await s.commit(s.id('a'), [{ tenant: s.tenant }, { tenant: s.other }])
    const deletion = await s.service.deleteTenant({ tenant: s.tenant })
    assert.equal(deletion.state, 'hiding')
    const look = async () => {
      assert.deepEqual([await s.planned(), await s.labelled(), await s.hasData()], [[], [], false])
      assert.deepEqual([await s.planned(s.other), await s.labelled(s.other)], [[`${s.id('a')}/1`], ['web']])
    }
    await look()
    await s.harness.runDeletions()
    await look()
    assert.equal((await s.deletion()).state, 'hidden')
    assert.deepEqual(
      (await s.sweep()).filter((id) => id === s.id('a')),
      [],
      'nothing is deleted before the delay',
    )
  })

  test('what is pushed after a deletion is a new incarnation and stays', async () => {
    const s = scene()
    await s.commit(s.id('a'), [{ tenant: s.tenant, service: 'old' }])
    await s.service.deleteTenant({ tenant: s.tenant })
    await s.commit(s.id('b'), [{ tenant: s.tenant, service: 'new' }])
    const look = async () => {
      assert.deepEqual(await s.planned(), [`${s.id('b')}/0`])
      assert.deepEqual(await s.labelled(), ['new'])
    }
    await look()
    await s.harness.runDeletions()
    await look()
    await s.harness.endDelay(s.tenant)
    for (let pass = 0; pass < 3; pass++) await s.harness.runDeletions()
    assert.ok((await s.sweep()).includes(s.id('a')))
    await look()
    await s.service.deleteTenant({ tenant: s.tenant })
    assert.deepEqual([await s.planned(), await s.labelled()], [[], []], 'and can be deleted too')
  })

  test('the same profiles pushed again after a deletion are new, and count once', async () => {
    const s = scene()
    const timeMs = await s.harness.nowMs()
    const [one, two] = [s.n * 10_000 + 9_001, s.n * 10_000 + 9_002]
    const push = async (name: string) => {
      const specs = [
        { tenant: s.other, timeMs, profiles: [one + 500] },
        { tenant: s.tenant, timeMs, profiles: [one, two, two] },
      ]
      return (await s.metastore.commitSegment(makeSegment(s.id(name), specs))).skips
    }
    assert.deepEqual(await push('a'), [{ index: 1, positions: [2] }])
    await s.service.deleteTenant({ tenant: s.tenant })
    assert.deepEqual(
      await push('b'),
      [
        { index: 0, positions: [0] },
        { index: 1, positions: [2] },
      ],
      'a duplicate is one of its own tenant alone',
    )
    assert.deepEqual(await s.planned(), [`${s.id('b')}/1`])
    assert.deepEqual((await push('c'))[1], { index: 1, positions: [0, 1, 2] })
    assert.deepEqual(await s.planned(), [`${s.id('b')}/1`])
  })

  for (const state of ['hiding', 'hidden']) {
    test(`undone while ${state}, a deletion has changed nothing`, async () => {
      const s = scene()
      await s.commit(s.id('a'), [{ tenant: s.tenant, service: 'x' }, { tenant: s.other }])
      await s.commit(s.id('b'), [{ tenant: s.tenant, service: 'y' }])
      await s.service.deleteTenant({ tenant: s.tenant })
      if (state === 'hidden') await s.harness.runDeletions()
      assert.equal((await s.deletion()).state, state)
      await s.commit(s.id('c'), [{ tenant: s.tenant, service: 'z' }])
      assert.equal((await s.service.undeleteTenant({ tenant: s.tenant })).state, 'restoring')
      await s.harness.runDeletions()
      assert.equal((await s.deletion()).state, 'restored')
      assert.deepEqual(await s.planned(), [`${s.id('a')}/0`, `${s.id('b')}/0`, `${s.id('c')}/0`])
      assert.deepEqual(await s.labelled(), ['x', 'y', 'z'])
      assert.ok(await s.hasData())
      await assert.rejects(s.service.undeleteTenant({ tenant: s.tenant }), { kind: 'failed_precondition' })
      // What came back is merged and deleted like anything else.
      await s.service.deleteTenant({ tenant: s.tenant })
      assert.deepEqual(await s.planned(), [])
    })
  }

  test('after its delay a deletion is for good: own objects go, shared ones with their last dataset; a receipt (H65)', async () => {
    const s = scene()
    await s.commit(s.id('own'), [
      { tenant: s.tenant, service: 'x' },
      { tenant: s.tenant, service: 'y' },
    ])
    await s.commit(s.id('shared'), [{ tenant: s.tenant }, { tenant: s.other }])
    await s.service.deleteTenant({ tenant: s.tenant })
    await s.harness.runDeletions()
    await s.harness.endDelay(s.tenant)
    await s.harness.runDeletions()
    await assert.rejects(s.service.undeleteTenant({ tenant: s.tenant }), { kind: 'failed_precondition' })
    await s.harness.runDeletions()
    const swept = await s.sweep()
    assert.ok(swept.includes(s.id('own')))
    assert.ok(!swept.includes(s.id('shared')))
    assert.deepEqual(await s.planned(s.other), [`${s.id('shared')}/1`])
    await s.harness.runDeletions()
    const progress = await s.deletion()
    assert.equal(progress.state, 'removing')
    const { objects, sharedObjects, deletedObjects } = progress
    assert.deepEqual({ objects, sharedObjects, deletedObjects }, { objects: 2, sharedObjects: 1, deletedObjects: 1 })
    // The other tenant goes as well: nothing is left to share.
    await s.service.deleteTenant({ tenant: s.other, delayMs: 0 })
    for (let pass = 0; pass < 3; pass++) await s.harness.runDeletions()
    assert.ok((await s.sweep()).includes(s.id('shared')))
    await s.harness.runDeletions()
    const receipt = await s.deletion()
    assert.equal(receipt.state, 'done')
    assert.ok(receipt.finishedAtMs >= receipt.removeAtMs)
    assert.deepEqual(
      [receipt.datasets, receipt.profiles, receipt.bytes, receipt.labelSets, receipt.deletedObjects],
      [3, 3, 3_000, 3, 2],
    )
    assert.ok(receipt.oldestMs > 0 && receipt.newestMs >= receipt.oldestMs)
  })

  test('a second call is the same deletion, and hides what came since (H65)', async () => {
    const s = scene()
    await s.commit(s.id('a'), [{ tenant: s.tenant }])
    const first = await s.service.deleteTenant({ tenant: s.tenant })
    await s.harness.runDeletions()
    await s.commit(s.id('b'), [{ tenant: s.tenant }])
    const second = await s.service.deleteTenant({ tenant: s.tenant })
    assert.equal(second.id, first.id)
    assert.equal(second.removeAtMs, first.removeAtMs)
    assert.deepEqual(await s.planned(), [])
    await s.harness.runDeletions()
    assert.deepEqual(await s.planned(), [])
    await s.service.undeleteTenant({ tenant: s.tenant })
    await s.harness.runDeletions()
    assert.deepEqual(await s.planned(), [`${s.id('a')}/0`, `${s.id('b')}/0`])
  })

  test('tenants are listed page by page, with what is visible of them', async () => {
    const s = scene()
    await s.commit(s.id('a'), [
      { tenant: s.tenant, service: 'x' },
      { tenant: s.tenant, service: 'y' },
    ])
    const find = async () => {
      let after = ''
      for (;;) {
        const { tenants } = await s.service.listTenants({ after, limit: 2 })
        const found = tenants.find(({ tenant }) => tenant === s.tenant)
        if (found !== undefined || tenants.length === 0) return found
        after = tenants.at(-1)!.tenant
      }
    }
    const live = await find()
    assert.deepEqual([live!.state, live!.services, live!.datasets, live!.bytes], ['live', 2, 2, 2_000])
    await s.service.deleteTenant({ tenant: s.tenant })
    const hidden = await find()
    assert.deepEqual([hidden!.state, hidden!.datasets, hidden!.bytes], ['hiding', 0, 0])
  })
}

function labelEpochContract(scene: () => Scene): void {
  const commitWithout = async (s: Scene, name: string, labelEpoch: number | undefined) => {
    const specs = [{ tenant: s.tenant, timeMs: await s.harness.nowMs(), profiles: [s.nextProfile()] }]
    const request = makeSegment(s.id(name), specs)
    return await s.metastore.commitSegment({ ...request, labelSets: [], labelEpoch })
  }

  test('label sets that were sent before a deletion are asked for again before anything is stored', async () => {
    const s = scene()
    const timeMs = await s.harness.nowMs()
    const first = makeSegment(s.id('a'), [{ tenant: s.tenant, timeMs, profiles: [s.nextProfile()] }])
    const { labelEpoch } = await s.metastore.commitSegment(first)
    assert.equal((await commitWithout(s, 'b', labelEpoch)).verdict, 'committed')
    assert.deepEqual(await s.planned(), [`${s.id('a')}/0`, `${s.id('b')}/0`])
    await s.service.deleteTenant({ tenant: s.other })
    const outdated = await commitWithout(s, 'c', labelEpoch)
    assert.equal(outdated.verdict, 'labels-outdated', 'an epoch is of all tenants')
    assert.ok(outdated.labelEpoch! > labelEpoch!)
    await s.service.deleteTenant({ tenant: s.tenant })
    const again = await commitWithout(s, 'c', outdated.labelEpoch)
    assert.equal(again.verdict, 'labels-outdated')
    assert.deepEqual([await s.planned(), await s.labelled()], [[], []])

    const whole = makeSegment(s.id('c'), [{ tenant: s.tenant, timeMs, profiles: [s.nextProfile()] }])
    const taken = await s.metastore.commitSegment(whole)
    assert.deepEqual([taken.verdict, taken.labelEpoch], ['committed', again.labelEpoch])
    assert.deepEqual([await s.planned(), await s.labelled()], [[`${s.id('c')}/0`], ['web']])
    assert.equal((await commitWithout(s, 'c', labelEpoch)).verdict, 'replayed', 'what was stored is not asked for')
    assert.equal((await commitWithout(s, 'd', undefined)).verdict, 'committed', 'an older writer names no epoch')
  })

  test('label sets that came late, for a dead incarnation, are no reason to leave them out afterwards', async () => {
    const s = scene()
    await s.service.deleteTenant({ tenant: s.tenant })
    const nowMs = await s.harness.nowMs()
    const begun = makeUlid(nowMs - 2 * LATE_COMMIT_MS, new Uint8Array(10).fill(s.n))
    const late = makeSegment(begun, [{ tenant: s.tenant, timeMs: nowMs, profiles: [s.nextProfile()] }])
    const { labelEpoch } = await s.metastore.commitSegment(late)
    assert.equal((await commitWithout(s, 'a', labelEpoch)).verdict, 'labels-outdated')
  })
}

function inFlightContract(scene: () => Scene): void {
  const tail = (n: number) => Uint8Array.from({ length: 10 }, (_, i) => (i === 9 ? n % 256 : i === 8 ? n >> 8 : 7))

  test('a late commit of an object that was begun well before the deletion is hidden with the rest (H19)', async () => {
    const s = scene()
    await s.commit(s.id('a'), [{ tenant: s.tenant }])
    const begun = makeUlid((await s.harness.nowMs()) - 2 * LATE_COMMIT_MS, tail(s.n))
    await s.service.deleteTenant({ tenant: s.tenant })
    await s.commit(begun, [{ tenant: s.tenant, service: 'late' }, { tenant: s.other }])
    assert.deepEqual([await s.planned(), await s.labelled()], [[], []])
    assert.deepEqual(await s.planned(s.other), [`${begun}/1`])
    await s.harness.runDeletions()
    await s.service.undeleteTenant({ tenant: s.tenant })
    await s.harness.runDeletions()
    assert.deepEqual((await s.planned()).sort(), [`${begun}/0`, `${s.id('a')}/0`].sort())
  })

  test('a push that is under way while its tenant is deleted counts as one that came after', async () => {
    const s = scene()
    const begun = makeUlid((await s.harness.nowMs()) - 1_000, tail(s.n))
    await s.service.deleteTenant({ tenant: s.tenant })
    await s.commit(begun, [{ tenant: s.tenant }])
    await s.harness.runDeletions()
    assert.deepEqual(await s.planned(), [`${begun}/0`])
  })

  test('a late commit of removed data never becomes visible, and its object goes (H19)', async () => {
    const s = scene()
    await s.commit(s.id('a'), [{ tenant: s.tenant }])
    const begun = makeUlid((await s.harness.nowMs()) - 2 * LATE_COMMIT_MS, tail(s.n))
    await s.service.deleteTenant({ tenant: s.tenant, delayMs: 0 })
    for (let pass = 0; pass < 3; pass++) await s.harness.runDeletions()
    await s.commit(begun, [{ tenant: s.tenant, service: 'late' }])
    assert.deepEqual([await s.planned(), await s.labelled()], [[], []])
    assert.ok((await s.sweep()).includes(begun))
  })

  for (const when of ['before', 'after']) {
    test(`a merge that read the data of a tenant that is deleted meanwhile is stale, ${when} its rows were hidden (H37)`, async () => {
      const s = scene()
      await s.commit(s.id('a'), [{ tenant: s.tenant }, { tenant: s.other }])
      const job = await s.claim(s.id('a'))
      await s.service.deleteTenant({ tenant: s.tenant })
      if (when === 'after') await s.harness.runDeletions()
      assert.equal(await s.finish(job, s.id('out')), 'stale')
      assert.deepEqual(await s.planned(s.other), [`${s.id('a')}/1`])
      await s.service.undeleteTenant({ tenant: s.tenant })
      await s.harness.runDeletions()
      assert.deepEqual(await s.planned(), [`${s.id('a')}/0`])
    })
  }

  test('merged data is hidden, restored and removed like data that was not', async () => {
    const s = scene()
    await s.commit(s.id('a'), [{ tenant: s.tenant }, { tenant: s.other }])
    assert.equal(await s.finish(await s.claim(s.id('a')), s.id('out')), 'committed')
    assert.deepEqual(await s.planned(), [`${s.id('out')}/0`])
    await s.service.deleteTenant({ tenant: s.tenant })
    assert.deepEqual(await s.planned(), [])
    await s.harness.runDeletions()
    // The source is retired and not yet deleted: it holds the data too.
    assert.equal((await s.deletion()).objects, 2)
    await s.service.undeleteTenant({ tenant: s.tenant })
    await s.harness.runDeletions()
    assert.deepEqual(await s.planned(), [`${s.id('out')}/0`])
    await s.service.deleteTenant({ tenant: s.tenant, delayMs: 0 })
    for (let pass = 0; pass < 3; pass++) await s.harness.runDeletions()
    assert.deepEqual([await s.planned(), await s.planned(s.other)], [[], [`${s.id('out')}/1`]])
  })
}
