/**
 * What people decided (retention, deletions of tenants, marks) is in Postgres alone. Once a day it is written to the
 * bucket, in the version that is put there last; a rebuild reads it back before it adopts anything.
 */
import { CinderError } from '#core/errors.ts'
import type { Log } from '#core/ports/log.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { RecoveryFinding } from '#core/rpc/recovery.ts'
import { MS_PER_DAY } from '#core/units.ts'
import type { Sql } from '#db/client.ts'
import { dumpSettings, noteSettingsDump, restoreSettingRows, type SettingsTable } from '#db/sql/recover-settings.ts'
import type { Duty } from './duties.ts'
import type { RestoreGuard } from './restore-guard.ts'

export const SETTINGS_KEY = 'meta/settings.json'

interface SettingsDump {
  readonly version: 1
  readonly dumpedAt: string
  readonly tables: readonly SettingsTable[]
}

export interface SettingsDumpDeps {
  readonly sql: Sql
  readonly store: ObjectStore
  readonly log: Log
  readonly guard: RestoreGuard
}

export function settingsDumpDuty(deps: SettingsDumpDeps): Duty {
  return { name: 'settings-dump', intervalMs: MS_PER_DAY, run: () => writeSettings(deps) }
}

/** Not while the database is behind: it would overwrite what the bucket knows better. */
export async function writeSettings({ sql, store, guard }: SettingsDumpDeps): Promise<void> {
  if (await guard.isBehind()) return
  const [row] = await sql<
    { now: string }[]
  >`select to_char(now() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as now`
  const dump: SettingsDump = { version: 1, dumpedAt: row!.now, tables: await dumpSettings(sql) }
  await store.put(SETTINGS_KEY, new TextEncoder().encode(JSON.stringify(dump)))
  await noteSettingsDump(sql)
}

/** What could not come back, or what did. */
export async function restoreSettings(sql: Sql, store: ObjectStore): Promise<RecoveryFinding[]> {
  const dump = await readDump(store)
  if (typeof dump === 'string')
    return [{ kind: 'not-restored', subject: SETTINGS_KEY, detail: dump, mend: '', isMended: false }]
  const counts = await sql.begin((tx) => restoreSettingRows(tx, dump.tables))
  const told = counts.filter(({ restored }) => restored > 0).map(({ table, restored }) => `${restored} of ${table}`)
  if (told.length === 0) return []
  const detail = `settings of ${dump.dumpedAt}: ${told.join(', ')}; later changes are lost`
  return [{ kind: 'note', subject: SETTINGS_KEY, detail, mend: 'restored', isMended: true }]
}

async function readDump(store: ObjectStore): Promise<SettingsDump | string> {
  try {
    const dump = JSON.parse(new TextDecoder().decode(await store.get(SETTINGS_KEY))) as SettingsDump
    return dump.version === 1 ? dump : `the dump of settings has version ${String(dump.version)}, 1 is known`
  } catch (error) {
    if (error instanceof CinderError && error.kind === 'not_found')
      return 'no dump of settings: rules of retention, deletions of tenants and marks are gone, defaults hold'
    if (error instanceof SyntaxError) return `the dump of settings is no JSON: ${error.message}`
    throw error
  }
}
