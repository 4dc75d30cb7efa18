/** The duties of every metastore: a new one is a line here, with its name, its interval and a run of its own file. */
import { MS_PER_SECOND } from '#core/units.ts'
import type { Cleaner } from './cleaner.ts'
import type { Duty } from './duties.ts'
import type { MetastoreSettings } from './settings.ts'

export interface DutyListDeps {
  readonly settings: MetastoreSettings
  readonly cleaner: Cleaner
}

/** Not in it: planning, which has its own rhythm and its lease in planner.ts. */
export function listDuties(deps: DutyListDeps): Duty[] {
  const { settings, cleaner } = deps
  return [
    {
      name: 'cleaning',
      intervalMs: settings.cleanIntervalMs,
      runMaxMs: 120 * MS_PER_SECOND,
      // Idempotent, and it skips rows that others hold: it needs no term.
      run: async () => void (await cleaner.pass()),
    },
  ]
}
