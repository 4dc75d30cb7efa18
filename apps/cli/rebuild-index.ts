/** `cinder rebuild-index`: a database that was lost or restored learns from the bucket what it does not know. */
import type { Arguments, CommandSpec } from './arguments.ts'
import { followRun, RUN_FLAGS } from './recovery-run.ts'
import type { ExitCode, Shell } from './shell.ts'

export const REBUILD_INDEX: CommandSpec = {
  name: 'rebuild-index',
  about: 'Restore the index of a lost database from the objects in the bucket. Goes on where it was interrupted.',
  flags: RUN_FLAGS,
  examples: ['cinder rebuild-index', 'cinder rebuild-index --url http://metastore:4046 --json'],
}

export function runRebuildIndex(args: Arguments, shell: Shell): Promise<ExitCode> {
  return followRun(args, shell, { kind: 'rebuild' })
}
