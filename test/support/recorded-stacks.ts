/** Recorded JFR files and what is in them (test/fixtures/recordings/README.md). */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'

const FOLDER = join(import.meta.dirname, '..', 'fixtures', 'recordings')

export interface RecordedSums {
  /** Events. */
  count: bigint
  /** What they measured: bytes or nanoseconds. */
  sum: bigint
}

export function recordingNames(): string[] {
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith('.jfr.gz'))
    .map((name) => name.slice(0, -'.jfr.gz'.length))
}

export function readRecordedJfr(name: string): Uint8Array {
  return new Uint8Array(gunzipSync(readFileSync(join(FOLDER, `${name}.jfr.gz`))))
}

/** By event type, then by stack: frames root first, joined by `;`. */
export function readRecordedStacks(name: string): Map<string, Map<string, RecordedSums>> {
  const stacks = new Map<string, Map<string, RecordedSums>>()
  let ofType = new Map<string, RecordedSums>()
  for (const line of readFileSync(join(FOLDER, `${name}.stacks.txt`), 'utf8')
    .trimEnd()
    .split('\n')) {
    if (line.startsWith('# ')) {
      ofType = new Map()
      stacks.set(line.slice(2), ofType)
      continue
    }
    const [, stack, count, sum] = /^(.*) (\d+) (\d+)$/.exec(line)!
    ofType.set(stack!, { count: BigInt(count!), sum: BigInt(sum!) })
  }
  return stacks
}
