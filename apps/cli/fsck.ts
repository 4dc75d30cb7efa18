/** `cinder fsck`: do the index and the bucket agree? */
import type { Arguments, CommandSpec } from './arguments.ts'
import { followRun, RUN_FLAGS } from './recovery-run.ts'
import type { ExitCode, Shell } from './shell.ts'

export const FSCK: CommandSpec = {
  name: 'fsck',
  about: 'Compare index and bucket, both ways. Exit 1 if something is wrong and not mended.',
  flags: {
    repair: { about: 'mend what can be mended; without it nothing is changed' },
    deep: { about: 'read every byte of every object and check every sum' },
    ...RUN_FLAGS,
  },
  examples: ['cinder fsck', 'cinder fsck --repair', 'cinder fsck --deep --json'],
}

export function runFsck(args: Arguments, shell: Shell): Promise<ExitCode> {
  return followRun(args, shell, { kind: 'fsck', repair: args.has('repair'), deep: args.has('deep') })
}
