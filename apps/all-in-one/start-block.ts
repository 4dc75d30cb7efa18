/** What a newcomer reads after `npm start`: where to push, where to look, where the data is, and what is kept. */
import type { AllInOneConfig } from './config.ts'

export interface StartFacts {
  readonly url: string
  readonly database: string
  readonly objects: string
  readonly readyMs: number
}

export function formatStartBlock(config: AllInOneConfig, facts: StartFacts): string {
  const rows: [string, string][] = [
    ['push', `${facts.url}  (server address of any Pyroscope agent; pprof by Push RPC or POST /ingest)`],
    ['query', `${facts.url}  (URL of a Grafana Pyroscope data source, or profilecli --url)`],
    ['database', facts.database],
    ['objects', facts.objects],
    ['tenants', formatTenants(config)],
    ['retention', 'profiles are kept for ever: nothing expires them in this version'],
    ['stop', 'Ctrl-C'],
  ]
  const lines = rows.map(([name, text]) => `  ${name.padEnd(10)} ${text}`)
  return ['', `Cinderblock is ready after ${(facts.readyMs / 1000).toFixed(1)} s`, ...lines, ''].join('\n')
}

function formatTenants(config: AllInOneConfig): string {
  return config.isMultitenant
    ? 'by header X-Scope-OrgID, required (CINDER_MULTITENANCY=true)'
    : 'one, "anonymous"; X-Scope-OrgID is ignored (CINDER_MULTITENANCY=true reads it)'
}
