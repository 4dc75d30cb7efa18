/**
 * `cinder inspect`: one object, looked at without the metastore. It reads, and only that: it may run beside a server
 * that uses the same directory (opening the store would clear what that server is writing).
 */
import { join } from 'node:path'
import { objectKey, parseObjectKey } from '#core/block/object-key.ts'
import { CinderError } from '#core/errors.ts'
import { isUlid } from '#core/wire/ulid.ts'
import { createCodec } from '#platform/codec.ts'
import { localPath } from '#platform/object-store/open-store.ts'
import { type Arguments, type CommandSpec, usageError } from './arguments.ts'
import { inspectObject } from './object-report.ts'
import { renderReport } from './object-report-lines.ts'
import { EXIT, type ExitCode, paintFor, type Shell } from './shell.ts'

export const INSPECT: CommandSpec = {
  name: 'inspect',
  about: 'Show an object: footer, datasets, sections; verify every checksum and conservation sum. Exit 1 if damaged.',
  words: { hint: 'OBJECT', min: 1, max: 1 },
  flags: {
    storage: { value: 'DIR', about: 'OBJECT is an id or a key below this directory (a path or a file URL)' },
    json: { about: 'one JSON document instead of tables' },
  },
  examples: [
    'cinder inspect data/objects/objects/7k/01JD8ZQ4T6M3B5X9W2R1C0V87K.cb',
    'cinder inspect 01JD8ZQ4T6M3B5X9W2R1C0V87K --storage data/objects',
  ],
}

export async function runInspect(args: Arguments, shell: Shell): Promise<ExitCode> {
  const path = objectPath(args.words[0]!, args.get('storage'))
  let bytes: Uint8Array
  try {
    bytes = await shell.readFile(path)
  } catch (cause) {
    throw new CinderError(
      'not_found',
      `cannot read ${path}: ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        cause,
      },
    )
  }
  const report = inspectObject(bytes, createCodec())
  if (args.has('json')) shell.out(JSON.stringify({ path, ...report }, null, 2))
  else for (const line of renderReport(report, paintFor(shell.hasColour))) shell.out(line)
  return report.damage.length === 0 ? EXIT.ok : EXIT.failed
}

/** A path as it stands, or below the storage the place of an id or a key. */
export function objectPath(object: string, storage: string | undefined): string {
  if (storage === undefined) return object
  const key = isUlid(object) ? objectKey(object) : object
  if (parseObjectKey(key) === undefined)
    throw usageError(`${JSON.stringify(object)} is neither an object id (26 characters) nor a key objects/xy/ID.cb`)
  return join(localPath(storage), key)
}
