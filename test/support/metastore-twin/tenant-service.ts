/**
 * TenantService over the twin, with its duties as levers: what apps/metastore/tenant-service.ts and tenant-deletion.ts do over
 * Postgres. Progress of a deletion is a record beside the state, as its row is.
 */
import { CinderError, invalidArgument } from '#core/errors.ts'
import { effectiveRetentionMs, type RetentionScope } from '#core/retention/rules.ts'
import type { TenantDeletion, TenantService, TenantSummary } from '#core/rpc/tenants.ts'
import { MS_PER_DAY } from '#core/units.ts'
import { previewBound, statusOf, toStatus, toWireBound } from '../../../apps/metastore/retention-status.ts'
import { checkDelay, checkRetention, checkTenant } from '../../../apps/metastore/tenant-checks.ts'
import { runRetention, setRetention } from './retention.ts'
import type { HeldDataset, TwinState } from './state.ts'
import { deleteTenant, isVisible, liveFromOf, removeDeleted, undeleteTenant } from './tenants.ts'

const DELAY_MS = MS_PER_DAY
const NOTHING = { datasets: 0, profiles: 0, bytes: 0, oldestMs: 0, newestMs: 0, labelSets: 0 }

interface HeldDeletion extends TenantDeletion {
  /** Objects that held its data when it was hidden. */
  held: readonly string[]
}

export interface TwinTenants {
  readonly service: TenantService
  runDeletions(): void
  runRetention(): { datasets: number; bytes: number; objects: number }
  endDelay(tenant: string): void
  endAnnouncement(scope: RetentionScope): void
}

export function createTwinTenants(state: TwinState): TwinTenants {
  const deletions: HeldDeletion[] = []
  return {
    service: { ...deletionCalls(state, deletions), ...retentionCalls(state) },
    runDeletions: () => runDeletions(state, deletions),
    runRetention() {
      const gone = runRetention(state)
      const bytes = gone.map(
        ({ objectId, index }) => state.objects.get(objectId)!.datasets[index]!.descriptor.sizeBytes,
      )
      const objects = new Set(gone.map(({ objectId }) => objectId)).size
      return { datasets: gone.length, bytes: bytes.reduce((sum, each) => sum + each, 0), objects }
    },
    endDelay(tenant) {
      const removeAtMs = state.nowMs()
      const life = state.tenants.get(tenant)
      if (life?.open !== undefined) life.open = { ...life.open, removeAtMs }
      for (const each of deletions) if (each.tenant === tenant && isOpen(each)) each.removeAtMs = removeAtMs
    },
    endAnnouncement({ tenant, service }) {
      state.retention = state.retention.map((rule) =>
        rule.tenant === tenant && rule.service === service && rule.pending !== undefined
          ? { ...rule, pending: { ...rule.pending, fromMs: state.nowMs() } }
          : rule,
      )
    },
  }
}

const isOpen = ({ state }: TenantDeletion): boolean => ['hiding', 'hidden', 'restoring'].includes(state)

type DeletionCalls = Pick<TenantService, 'listTenants' | 'deleteTenant' | 'undeleteTenant' | 'tenantDeletions'>

function deletionCalls(state: TwinState, deletions: HeldDeletion[]): DeletionCalls {
  const openOf = (tenant: string) => deletions.find((each) => each.tenant === tenant && isOpen(each))
  return {
    async listTenants({ after, limit }) {
      const names = new Set([...datasetsOf(state)].map(({ dataset }) => dataset.descriptor.tenant))
      for (const { tenant } of deletions) names.add(tenant)
      const listed = [...names].filter((tenant) => tenant > after).sort()
      return { tenants: listed.slice(0, limit || undefined).map((tenant) => summaryOf(state, tenant, openOf(tenant))) }
    },
    async deleteTenant({ tenant, delayMs = DELAY_MS }) {
      checkTenant(tenant)
      checkDelay(delayMs)
      let open = openOf(tenant)
      if (open?.state === 'restoring')
        throw new CinderError('failed_precondition', `tenant ${tenant} is being restored`)
      deleteTenant(state, tenant, delayMs)
      if (open === undefined) {
        const requestedAtMs = state.nowMs()
        const times = { requestedAtMs, removeAtMs: requestedAtMs + delayMs, finishedAtMs: 0 }
        const objects = { objects: 0, sharedObjects: 0, deletedObjects: 0, held: [] }
        open = { id: deletions.length + 1, tenant, state: 'hiding', ...times, ...NOTHING, ...objects }
        deletions.push(open)
      }
      open.state = 'hiding'
      return { ...open }
    },
    async undeleteTenant({ tenant }) {
      checkTenant(tenant)
      const open = openOf(tenant)
      if (open === undefined || open.state === 'restoring' || !undeleteTenant(state, tenant))
        throw new CinderError('failed_precondition', `tenant ${tenant} has no deletion that can be undone`)
      open.state = 'restoring'
      return { ...open }
    },
    async tenantDeletions({ tenant, limit }) {
      const own = deletions.filter((each) => tenant === '' || each.tenant === tenant).reverse()
      return { deletions: own.slice(0, limit || undefined).map((each) => ({ ...each })) }
    },
  }
}

function* datasetsOf(state: TwinState): Generator<{ objectId: string; dataset: HeldDataset }> {
  for (const { objectId, datasets } of state.objects.values()) {
    if (isGone(state, objectId)) continue
    for (const dataset of datasets) yield { objectId, dataset }
  }
}

/** Deleted and confirmed. */
function isGone(state: TwinState, objectId: string): boolean {
  return !state.isLive(objectId) && !state.tombstones.has(objectId)
}

function sumOf(datasets: readonly HeldDataset[]): Omit<typeof NOTHING, 'labelSets'> {
  const descriptors = datasets.map(({ descriptor }) => descriptor)
  const sum = (of: (d: (typeof descriptors)[number]) => number) => descriptors.reduce((all, each) => all + of(each), 0)
  return {
    datasets: descriptors.length,
    profiles: sum(({ profileCount }) => profileCount),
    bytes: sum(({ sizeBytes }) => sizeBytes),
    oldestMs: descriptors.length === 0 ? 0 : Math.min(...descriptors.map(({ minTimeMs }) => minTimeMs)),
    newestMs: descriptors.length === 0 ? 0 : Math.max(...descriptors.map(({ maxTimeMs }) => maxTimeMs)),
  }
}

function summaryOf(state: TwinState, tenant: string, open: TenantDeletion | undefined): TenantSummary {
  const visible = [...datasetsOf(state)]
    .map(({ dataset }) => dataset)
    .filter((dataset) => dataset.descriptor.tenant === tenant && isVisible(state, dataset))
  return {
    tenant,
    state: open?.state ?? 'live',
    services: new Set(visible.map(({ descriptor }) => descriptor.service)).size,
    ...sumOf(visible),
    retentionMs: effectiveRetentionMs(state.retention, { tenant, service: '' }, state.nowMs()),
  }
}

/** One pass of the duty. */
function runDeletions(state: TwinState, deletions: readonly HeldDeletion[]): void {
  const nowMs = state.nowMs()
  for (const deletion of deletions) {
    if (deletion.state === 'restoring') Object.assign(deletion, { state: 'restored', finishedAtMs: nowMs })
    else if (deletion.state === 'hiding') hide(state, deletion)
    else if (deletion.state === 'hidden' && deletion.removeAtMs <= nowMs) deletion.state = 'removing'
  }
  removeDeleted(state)
  for (const deletion of deletions) {
    if (deletion.state !== 'removing') continue
    deletion.deletedObjects = deletion.held.filter((objectId) => isGone(state, objectId)).length
    if (deletion.deletedObjects === deletion.objects) Object.assign(deletion, { state: 'done', finishedAtMs: nowMs })
  }
}

/** Counts what is out of sight already. */
function hide(state: TwinState, deletion: HeldDeletion): void {
  const { tenant } = deletion
  const liveFrom = liveFromOf(state, tenant)
  const dead = [...datasetsOf(state)].filter(
    ({ dataset }) => dataset.descriptor.tenant === tenant && dataset.incarnation < liveFrom,
  )
  const held = [...new Set(dead.map(({ objectId }) => objectId))]
  const isShared = (objectId: string) =>
    state.objects.get(objectId)!.datasets.some(({ descriptor }) => descriptor.tenant !== tenant)
  const sets = [...state.labelSets.values()].filter((set) => set.tenant === tenant && set.incarnation < liveFrom)
  Object.assign(deletion, {
    state: 'hidden',
    ...sumOf(dead.filter(({ dataset }) => dataset.isLive).map(({ dataset }) => dataset)),
    labelSets: sets.length,
    objects: held.length,
    sharedObjects: held.filter(isShared).length,
    held,
  })
}

function retentionCalls(state: TwinState): Omit<TenantService, keyof DeletionCalls> {
  return {
    async listRetention() {
      return { rules: state.retention.map((rule) => toStatus(state.retention, rule, state.nowMs())) }
    },
    async setRetention({ tenant, service, retentionMs, delayMs = DELAY_MS }) {
      checkTenant(tenant)
      checkDelay(delayMs)
      checkRetention(retentionMs)
      setRetention(state, { tenant, service, retentionMs }, delayMs)
      return statusOf(state.retention, { tenant, service }, state.nowMs())
    },
    async cancelRetention(scope) {
      const nowMs = state.nowMs()
      const rule = state.retention.find(({ tenant, service }) => tenant === scope.tenant && service === scope.service)
      if (rule?.pending === undefined || rule.pending.fromMs <= nowMs)
        throw new CinderError('failed_precondition', 'there is no announced change of retention')
      state.retention = state.retention.map((each) => (each === rule ? { ...rule, pending: undefined } : each))
      return statusOf(state.retention, scope, nowMs)
    },
    async previewRetention({ tenant, service, retentionMs }) {
      checkRetention(retentionMs)
      if (tenant === '' && service !== '') throw invalidArgument('a service needs its tenant')
      const boundMs = previewBound(state.retention, { tenant, service, retentionMs }, state.nowMs())
      const own = (scope: { tenant: string; service: string }) =>
        state.retention.some((rule) => rule.tenant === scope.tenant && rule.service === scope.service)
      const going = [...datasetsOf(state)].filter(({ dataset }) => {
        const { descriptor } = dataset
        const isMeant =
          (tenant === '' || descriptor.tenant === tenant) && (service === '' || descriptor.service === service)
        const hasOther = service === '' && own({ tenant: descriptor.tenant, service: descriptor.service })
        return isVisible(state, dataset) && isMeant && !hasOther && descriptor.maxTimeMs < boundMs
      })
      const { datasets, bytes, oldestMs, newestMs } = sumOf(going.map(({ dataset }) => dataset))
      const objects = new Set(going.map(({ objectId }) => objectId)).size
      return { boundMs: toWireBound(boundMs), datasets, objects, bytes, oldestMs, newestMs }
    },
  }
}
