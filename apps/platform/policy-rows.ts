/**
 * Ingest policies that operators set in the metastore, over those of the process' file. A row replaces the policy of its
 * tenant as a whole. One that this version cannot read is passed over and said; others hold.
 */
import { compilePolicy, parsePolicy } from '#core/ingest/policy.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import type { TenantPolicies, TenantPolicy } from '#core/rpc/tenant-policies.ts'
import { createCaptureCompiler } from './captures.ts'
import type { LimitsFile } from './limits-file.ts'
import { createRegexCompiler } from './regex.ts'
import { watchRows } from './watch-rows.ts'

interface Deps {
  readonly clock: Clock
  readonly log: Log
  readonly policies: Pick<TenantPolicies, 'listPolicies'>
}

const ports = { regex: createRegexCompiler(), captures: createCaptureCompiler() }

/** What `inner` says, with the rows over it; stopping it stops `inner`. */
export async function openPolicyRows(inner: LimitsFile, { clock, log, policies }: Deps): Promise<LimitsFile> {
  let rows: ReadonlyMap<string, string> = new Map()
  const watched = {
    what: 'ingest policies of tenants',
    ask: (known: { generation: number }) => policies.listPolicies(known),
    take: (tenants: readonly TenantPolicy[]) => {
      rows = readRows(tenants, rows, log)
    },
  }
  const watching = await watchRows(watched, { clock, log })
  return {
    limitsOf: (tenant) => inner.limitsOf(tenant),
    policyOf: (tenant) => rows.get(tenant) ?? inner.policyOf(tenant),
    async stop() {
      await Promise.all([watching.stop(), inner.stop()])
    },
  }
}

/** `before`: what is equal was checked. */
function readRows(
  tenants: readonly TenantPolicy[],
  before: ReadonlyMap<string, string>,
  log: Log,
): ReadonlyMap<string, string> {
  const rows = new Map<string, string>()
  for (const { tenant, policy, version } of tenants) {
    if (policy === '') continue
    try {
      if (before.get(tenant) !== policy) compilePolicy(parsePolicy(JSON.parse(policy)), ports)
      rows.set(tenant, policy)
    } catch (error) {
      log.error('the ingest policy of a tenant cannot be read, that of the file holds', { tenant, version, error })
    }
  }
  return rows
}
