/**
 * Those who take data away: retention by its rules, somebody who takes single datasets, and somebody who deletes tenants
 * and brings some back in time.
 */
import { objectKey } from '#core/block/object-key.ts'
import { MS_PER_HOUR } from '#core/units.ts'
import type { MemoryMetastore } from '../support/memory-metastore.ts'
import { setRetention } from '../support/metastore-twin/retention.ts'
import { type BucketDeps, rebuild } from '../support/metastore-twin/rebuild.ts'
import { deleteTenant, isVisible, undeleteTenant } from '../support/metastore-twin/tenants.ts'
import type { Checker } from './checker.ts'
import type { Dice } from './dice.ts'
import type { Faults } from './faults.ts'
import type { Ledger } from './ledger.ts'
import type { Life } from './life.ts'

export interface OperatorDeps {
  readonly twin: MemoryMetastore
  readonly ledger: Ledger
  readonly checker: Checker
  readonly faults: Faults
  readonly counts: { deleted: number; deletions: number; rebuilds: number }
  readonly tenants: readonly string[]
  readonly note: (what: string) => void
}

/** For so long a deletion of a tenant can be undone. */
const UNDELETE_MS = 8_000

/** What a dataset held is gone for good, wherever it is copied meanwhile. */
export async function retireDatasets(deps: OperatorDeps, life: Life, dice: Dice): Promise<void> {
  const { twin, ledger, checker, faults, counts, note } = deps
  while (faults.isOn) {
    await life.clock.sleep(dice.between(4_000, 12_000))
    if (!faults.has('retire')) continue
    const live = [...twin.state.objects.values()].flatMap(({ objectId, datasets }) =>
      datasets.flatMap((dataset) =>
        isVisible(twin.state, dataset) ? [{ objectId, index: dataset.descriptor.index }] : [],
      ),
    )
    if (live.length === 0) continue
    const { objectId, index } = dice.pick(live)
    const gone = checker.countedIn(objectId, index)
    for (const number of gone) ledger.setDeleted(ledger.entries[number]!, true)
    note(`takes ${objectId}/${index} with ${gone.map((number) => `p${number}`).join(' ')}`)
    counts.deleted += gone.length
    twin.retireDataset(objectId, index)
    checker.counts()
  }
}

export async function deleteTenants(deps: OperatorDeps, life: Life, dice: Dice): Promise<void> {
  const { twin, checker, faults, counts, tenants, note } = deps
  const { state } = twin
  while (faults.isOn) {
    await life.clock.sleep(dice.between(3_000, 25_000))
    const tenant = dice.pick(tenants)
    const isUndone = dice.chance(60) && state.tenants.get(tenant)?.open !== undefined
    if (!faults.has('tenant')) continue
    note(`${isUndone ? 'undeletes' : 'deletes'} ${tenant}`)
    if (isUndone) undeleteTenant(state, tenant)
    else deleteTenant(state, tenant, UNDELETE_MS)
    counts.deletions++
    checker.tenantChanged(tenant)
  }
}

/**
 * The database is lost, once, and made anew from the bucket. That takes minutes: deletions that were given out before have
 * landed by then, however late they are.
 */
export async function loseDatabase(
  deps: OperatorDeps & BucketDeps & { readonly objects: Map<string, Uint8Array> },
  life: Life,
  dice: Dice,
): Promise<void> {
  const { twin, checker, faults, counts, objects, note } = deps
  await life.clock.sleep(dice.between(6_000, 18_000))
  if (!faults.isOn) return
  note('loses the database and rebuilds it')
  counts.rebuilds++
  for (const [objectId, { epoch }] of twin.state.tombstones) if (epoch > 0) objects.delete(objectKey(objectId))
  checker.rebuilt(() => rebuild(twin.state, deps))
  twin.wake()
}

/** Rules come and go; what the hours of a world's data are kept for, or not. */
export async function changeRetention(deps: OperatorDeps, life: Life, dice: Dice): Promise<void> {
  const { twin, faults, tenants, note } = deps
  while (faults.isOn) {
    await life.clock.sleep(dice.between(5_000, 25_000))
    const change = {
      tenant: dice.pick(tenants),
      service: dice.pick(['', 'cart']),
      retentionMs: dice.pick([0, 1, 20, 40]) * MS_PER_HOUR,
    }
    const delayMs = dice.pick([0, 4_000])
    if (!faults.has('retention')) continue
    note(`keeps ${change.tenant}/${change.service} for ${change.retentionMs} ms, in ${delayMs} ms`)
    setRetention(twin.state, change, delayMs)
  }
}
