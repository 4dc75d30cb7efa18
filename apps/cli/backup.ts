/** `cinder backup`: the database into the bucket that it belongs to, and back. */
import type { Arguments, CommandSpec } from './arguments.ts'
import { followRun, RUN_FLAGS } from './recovery-run.ts'
import type { ExitCode, Shell } from './shell.ts'

export const BACKUP: CommandSpec = {
  name: 'backup',
  about:
    'Write a consistent copy of the database into the bucket; with --restore, read one back into an empty database.',
  flags: { restore: { value: 'ID', about: 'the backup to read; then run cinder fsck --repair' }, ...RUN_FLAGS },
  examples: ['cinder backup', 'cinder backup --restore 01JD8ZQ4T6M3B5X9W2R1C0V87K && cinder fsck --repair'],
}

export function runBackup(args: Arguments, shell: Shell): Promise<ExitCode> {
  const key = args.get('restore')
  return followRun(args, shell, key === undefined ? { kind: 'backup' } : { kind: 'restore', key })
}
