/**
 * TenantService over Postgres: tenants, their deletion, and the rules of retention. It decides nothing of its own: rules
 * are judged by core/retention/rules.ts, what is asked for is written as rows, and the duties carry it out
 * (tenant-deletion.ts, retention.ts).
 */
import { CinderError, invalidArgument } from '#core/errors.ts'
import type { Log } from '#core/ports/log.ts'
import {
  boundOf,
  decideChange,
  effectiveRetentionMs,
  type RetentionRule,
  type RetentionScope,
} from '#core/retention/rules.ts'
import type { RetentionRuleStatus, TenantDeletion, TenantService, TenantSummary } from '#core/rpc/tenants.ts'
import type { Sql } from '#db/client.ts'
import { withSqlErrors } from '#db/errors.ts'
import { hasObjects, selectTenants } from '#db/sql/list-tenants.ts'
import { selectExpiryPreview } from '#db/sql/retention-preview.ts'
import { cancelPending, selectRetentionRules, upsertRetentionRule, withRules } from '#db/sql/retention-rules.ts'
import { beginDeletion, beginRestore, type DeletionRow, selectDeletions } from '#db/sql/tenant-deletions.ts'
import { nameOf, ownNow, previewBound, statusOf, toStatus, toWireBound } from './retention-status.ts'
import { checkDelay, checkRetention, checkTenant } from './tenant-checks.ts'

export interface TenantServiceDeps {
  readonly sql: Sql
  readonly log: Log
  /** Before a shortening counts, and before a deletion is for good, if the call says nothing. */
  readonly delayMs: number
}

const PAGE_MAX = 1_000
/** Each is summed over all that is live of it: 200 tenants with 480,000 datasets take 2 s. */
const TENANTS_PAGE_MAX = 100
/** As many as a fleet of a thousand tenants with ten services each; every commit may look one up. */
const RULES_MAX = 10_000

export function createTenantService(deps: TenantServiceDeps): TenantService {
  return { ...createDeletions(deps), ...createRetention(deps) }
}

type Deletions = Pick<TenantService, 'listTenants' | 'deleteTenant' | 'undeleteTenant' | 'tenantDeletions'>

function createDeletions({ sql, log, delayMs: delayDefaultMs }: TenantServiceDeps): Deletions {
  const deletionOf = async (tenant: string, id: number): Promise<TenantDeletion> => {
    const rows = await selectDeletions(sql, { tenant, limit: PAGE_MAX })
    return toDeletion(rows.find((row) => row.id === id)!)
  }
  return {
    async listTenants({ after, limit }) {
      const rows = await withSqlErrors('list tenants', () =>
        selectTenants(sql, after, Math.min(pageSize(limit), TENANTS_PAGE_MAX)),
      )
      const { rules, nowMs } = await selectRetentionRules(sql)
      const tenants: TenantSummary[] = rows.map(({ deletionState, oldestMs, newestMs, ...row }) => ({
        ...row,
        state: deletionState ?? 'live',
        oldestMs: oldestMs ?? 0,
        newestMs: newestMs ?? 0,
        retentionMs: effectiveRetentionMs(rules, { tenant: row.tenant, service: '' }, nowMs),
      }))
      return { tenants }
    },
    async deleteTenant({ tenant, delayMs = delayDefaultMs }) {
      checkTenant(tenant)
      checkDelay(delayMs)
      const id = await withSqlErrors('delete tenant', () => beginDeletion(sql, { tenant, delayMs }))
      if (id === undefined) {
        const message = `tenant ${tenant} is just being restored: delete it when that is done`
        throw new CinderError('failed_precondition', message, { reason: 'tenant_restoring' })
      }
      log.info('tenant deleted', { tenant, deletion: id, delayMs })
      return await deletionOf(tenant, id)
    },
    async undeleteTenant({ tenant }) {
      checkTenant(tenant)
      const id = await withSqlErrors('undelete tenant', () => beginRestore(sql, tenant))
      if (id === undefined) {
        const message = `tenant ${tenant} has no deletion that can be undone: none was asked for, or its removal has begun`
        throw new CinderError('failed_precondition', message, { reason: 'no_deletion' })
      }
      log.info('tenant undeleted', { tenant, deletion: id })
      return await deletionOf(tenant, id)
    },
    async tenantDeletions({ tenant, limit }) {
      const query = { tenant, limit: pageSize(limit) }
      const rows = await withSqlErrors('tenant deletions', () => selectDeletions(sql, query))
      return { deletions: rows.map(toDeletion) }
    },
  }
}

type Retention = Omit<TenantService, keyof Deletions>

function createRetention({ sql, log, delayMs: delayDefaultMs }: TenantServiceDeps): Retention {
  return {
    async listRetention() {
      const { rules, nowMs } = await withSqlErrors('list retention', () => selectRetentionRules(sql))
      return { rules: rules.map((rule) => toStatus(rules, rule, nowMs)) }
    },
    async setRetention({ tenant, service, retentionMs, delayMs = delayDefaultMs }) {
      checkTenant(tenant)
      checkDelay(delayMs)
      checkRetention(retentionMs)
      const change = { tenant, service, retentionMs }
      const status = await withSqlErrors('set retention', () => changeRule(sql, change, delayMs))
      log.info('retention changed', { ...status })
      return status
    },
    async cancelRetention(scope) {
      return await withSqlErrors('cancel retention', async () => {
        if (!(await cancelPending(sql, scope))) {
          const message = `${nameOf(scope)} has no announced change of retention: none was made, or it counts already`
          throw new CinderError('failed_precondition', message, { reason: 'no_announcement' })
        }
        const { rules, nowMs } = await selectRetentionRules(sql)
        log.info('retention change cancelled', { ...scope })
        return statusOf(rules, scope, nowMs)
      })
    },
    async previewRetention({ tenant, service, retentionMs }) {
      checkRetention(retentionMs)
      if (tenant === '' && service !== '') throw invalidArgument('a service needs its tenant')
      const { rules, nowMs } = await withSqlErrors('preview retention', () => selectRetentionRules(sql))
      const boundMs = previewBound(rules, { tenant, service, retentionMs }, nowMs)
      const others = rules.filter((rule) => rule.tenant !== tenant || rule.service !== service)
      const request = {
        tenant,
        service,
        boundMs,
        exceptServices: service !== '' || tenant === '' ? [] : ownNames(others, tenant),
        exceptTenants: tenant === '' ? others.map((rule) => rule.tenant) : [],
      }
      const preview = await withSqlErrors('preview retention', () => selectExpiryPreview(sql, request))
      const { oldestMs = 0, newestMs = 0, ...counts } = preview
      return { ...counts, boundMs: toWireBound(boundMs), oldestMs, newestMs }
    },
  }
}

/**
 * The default of every tenant, from the server's settings. A shorter one than what counts is announced like any other;
 * so is the first, if there is data: it was kept for ever before.
 */
export async function applyDefaultRetention(
  sql: Sql,
  retentionMs: number,
  { delayMs }: { readonly delayMs: number },
): Promise<RetentionRuleStatus> {
  return await withSqlErrors('default retention', async () => {
    const isEmpty = !(await hasObjects(sql))
    return await changeRule(sql, { tenant: '', service: '', retentionMs }, isEmpty ? 0 : delayMs)
  })
}

async function changeRule(
  sql: Sql,
  change: RetentionScope & { readonly retentionMs: number | undefined },
  delayMs: number,
): Promise<RetentionRuleStatus> {
  const { tenant, service } = change
  return await withRules(sql, async (tx, rules, nowMs) => {
    const known = rules.find((rule) => rule.tenant === tenant && rule.service === service)
    if (known === undefined && rules.length >= RULES_MAX) {
      throw new CinderError('resource_exhausted', `there are ${rules.length} rules of retention, at most ${RULES_MAX}`)
    }
    const decision = decideChange(rules, change, { nowMs, delayMs })
    const { pending } = known ?? {}
    // Announced before, word for word: its time does not start anew.
    const isAnnounced = decision.kind === 'announced' && pending?.retentionMs === decision.retentionMs
    if (known === undefined || pending === undefined || !isAnnounced) {
      await upsertRetentionRule(tx, {
        tenant,
        service,
        // A rule that is new and only announced says nothing yet.
        retentionMs: decision.kind === 'at-once' ? decision.retentionMs : ownNow(known, nowMs),
        pending: decision.kind === 'at-once' ? undefined : decision,
        boundMs: boundOf(rules, change),
      })
    }
    const after = await selectRetentionRules(tx)
    return statusOf(after.rules, change, nowMs)
  })
}

function ownNames(rules: readonly RetentionRule[], tenant: string): string[] {
  return rules.filter((rule) => rule.tenant === tenant && rule.service !== '').map((rule) => rule.service)
}

function toDeletion(row: DeletionRow): TenantDeletion {
  const { id, tenant, state, requestedAtMs, removeAtMs, datasets, profiles, bytes, labelSets } = row
  return {
    id,
    tenant,
    state,
    requestedAtMs,
    removeAtMs,
    finishedAtMs: row.finishedAtMs ?? 0,
    datasets,
    profiles,
    bytes,
    oldestMs: row.oldestMs ?? 0,
    newestMs: row.newestMs ?? 0,
    labelSets,
    objects: row.objects,
    sharedObjects: row.sharedObjects,
    deletedObjects: row.goneObjects,
  }
}

function pageSize(limit: number): number {
  return limit === 0 ? PAGE_MAX : Math.min(limit, PAGE_MAX)
}
