/**
 * Which suites run, in which processes, in which order. Pure.
 *
 * 1. A suite is a `*.test.ts` below test/, except programs and recorded data in fixtures and the benches.
 * 2. Core suites share a process per folder: they do no I/O, and a process costs 60 ms. Every other suite has a process
 *    of its own: it may start Postgres or servers, and a crash must name its file.
 * 3. Suites with real processes start first, so that the longest does not begin last.
 * 4. A suite of minutes runs where it is named, and in continuous integration.
 */

export interface Batch {
  name: string
  files: string[]
}

const LEFT_OUT = ['test/fixtures/', 'test/bench/']
/**
 * Half a minute at least, and more to learn from longer runs (`npm run chaos`); or what plain runs have on local files, again
 * on a real S3 with its two seconds of start and 20 ms a call.
 */
const ONLY_IF_ASKED = ['test/chaos/chaos.test.ts', 'test/e2e-s3/recovery.test.ts', 'test/e2e-s3/hazards.test.ts']
/** Longest first, by observation. */
const EARLY = [
  'test/chaos',
  'test/e2e-s3',
  'test/sim',
  'test/apps/platform/postgres',
  'test/apps/all-in-one',
  'test/db',
  'test/apps/metastore',
  'test/runtime',
  'test/apps',
]

export function planBatches(paths: string[], filters: string[], options: { isThorough?: boolean } = {}): Batch[] {
  const files = paths.filter(
    (path) =>
      path.endsWith('.test.ts') &&
      !LEFT_OUT.some((prefix) => path.startsWith(prefix)) &&
      (options.isThorough === true || filters.length > 0 || !ONLY_IF_ASKED.includes(path)) &&
      (filters.length === 0 || filters.some((filter) => path.includes(filter))),
  )
  const batches = new Map<string, Batch>()
  for (const path of files.sort()) {
    const name = path.startsWith('test/core/') ? path.slice(0, path.lastIndexOf('/')) : path
    const batch = batches.get(name)
    if (batch === undefined) batches.set(name, { name, files: [path] })
    else batch.files.push(path)
  }
  return [...batches.values()].sort((a, b) => rank(a.name) - rank(b.name) || (a.name < b.name ? -1 : 1))
}

function rank(name: string): number {
  const index = EARLY.findIndex((prefix) => name.startsWith(prefix))
  return index === -1 ? EARLY.length : index
}
