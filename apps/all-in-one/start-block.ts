/** What a newcomer reads after `npm start`: where to push, where to look, where the data is, and what is kept. */
import type { RetentionRuleStatus } from '#core/rpc/tenants.ts'
import { formatDuration } from '#core/retention/duration.ts'
import type { AllInOneConfig } from './config.ts'

export interface StartFacts {
  readonly url: string
  readonly database: string
  readonly objects: string
  /** The default of every tenant. */
  readonly retention: RetentionRuleStatus
  readonly readyMs: number
}

export function formatStartBlock(config: AllInOneConfig, facts: StartFacts): string {
  const rows: [string, string][] = [
    ['push', `${facts.url}  (server address of any Pyroscope agent; pprof by Push RPC or POST /ingest)`],
    ['query', `${facts.url}  (URL of a Grafana Pyroscope data source, or profilecli --url)`],
    ['status', `${facts.url}/status  (in a browser, by curl, or \`cinder status\`)`],
    ['database', facts.database],
    ['objects', facts.objects],
    ['tenants', formatTenants(config)],
    ['retention', formatRetention(facts.retention)],
    ['stop', 'Ctrl-C'],
  ]
  const lines = rows.map(([name, text]) => `  ${name.padEnd(10)} ${text}`)
  return ['', `Cinderblock is ready after ${(facts.readyMs / 1000).toFixed(1)} s`, ...lines, ''].join('\n')
}

function formatRetention({ retentionMs, pendingFromMs, pendingRetentionMs }: RetentionRuleStatus): string {
  const now =
    retentionMs === 0
      ? 'profiles are kept for ever (CINDER_RETENTION=31d deletes them after 31 days)'
      : `profiles are deleted after ${formatDuration(retentionMs)} (CINDER_RETENTION; 0 keeps them for ever)`
  if (pendingFromMs === 0) return now
  // In any case shorter: what keeps longer is not announced.
  return `${now}; announced: ${formatDuration(pendingRetentionMs)} from ${new Date(pendingFromMs).toISOString()} on`
}

function formatTenants(config: AllInOneConfig): string {
  return config.isMultitenant
    ? 'by header X-Scope-OrgID, required (CINDER_MULTITENANCY=true)'
    : 'one, "anonymous"; X-Scope-OrgID is ignored (CINDER_MULTITENANCY=true reads it)'
}
