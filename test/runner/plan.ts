/**
 * Which suites run, in which processes, in which order. Pure.
 *
 * 1. A suite is a `*.test.ts` below test/, except programs and recorded data in fixtures. What judges benches is one too.
 * 2. Core suites share a process per folder. Short suites of one app, of the database and of the tree share processes, a
 *    dozen in each: a process costs 100 ms of CPU until its modules are loaded, and twice that with a server of Postgres.
 *    A suite that takes long, that starts programs of the product, or that looks at its whole process, has one of its own.
 * 3. The longest start first, so that none of them begins last.
 * 4. What mostly waits (for leases, signals, processes that start) is marked: it may run beside as many others as there
 *    are cores.
 * 5. A suite of minutes runs where it is named, and in continuous integration.
 */

export interface Batch {
  name: string
  files: string[]
  /** It leaves most of a core to others. */
  waits: boolean
}

const LEFT_OUT = ['test/fixtures/']
/**
 * Half a minute at least, and more to learn from longer runs (`npm run chaos`); or what plain runs have on local files and on
 * an S3 of our own, again on a real S3 with its two seconds of start and 20 ms a call. A plain run says what it left out.
 */
const ONLY_IF_ASKED = ['test/chaos/chaos.test.ts', 'test/e2e-s3/']
/** Seconds of suites above ten, or that mostly wait above two, as observed on two cores; the rest has `SECONDS_DEFAULT`. */
const SECONDS: Readonly<Record<string, number>> = {
  'test/chaos/chaos.test.ts': 60,
  'test/e2e-s3/radosgw.test.ts': 45,
  'test/e2e-s3/hazards.test.ts': 40,
  'test/e2e-s3/recovery.test.ts': 40,
  'test/e2e/journal.test.ts': 35,
  'test/apps/all-in-one/main.test.ts': 28,
  'test/apps/platform/postgres/launcher.test.ts': 26,
  'test/apps/metastore/frozen-holder.test.ts': 22,
  'test/apps/metastore/rebuild.test.ts': 22,
  'test/e2e/recovery.test.ts': 20,
  'test/e2e/processes.test.ts': 19,
  'test/e2e/compaction.test.ts': 18,
  'test/e2e/kill.test.ts': 17,
  'test/apps/metastore/database.test.ts': 17,
  'test/core/compaction': 14,
  'test/e2e/bad-input.test.ts': 14,
  'test/e2e/writers.test.ts': 14,
  'test/apps/metastore/rebuild-deletions.test.ts': 16,
  'test/apps/segment-writer/memory.test.ts': 11,
  'test/apps/segment-writer/thread-shard.test.ts': 10,
  'test/e2e/agents.test.ts': 10,
  'test/core/query': 10,
  'test/e2e/differential.test.ts': 10,
  'test/e2e/operators.test.ts': 10,
  'test/e2e/versions.test.ts': 10,
}
/** What real processes and databases take that have no line above; pure suites take less. */
const SECONDS_DEFAULT = 5
const SECONDS_PURE = 3
/** A file among others of its process. */
const SECONDS_SHARED = 0.8
const PURE = ['test/core', 'test/tidy', 'test/runner', 'test/bench']
/** Their suites share processes, each with its neighbours. */
const SHARED = ['test/apps/', 'test/db/', 'test/tidy/', 'test/runner/', 'test/bench/']
/** So few that one that hangs or dies takes little with it, and that processes stay short beside one another. */
const SHARED_FILES_MAX = 12
/** Short, and not to be shared: what replaces timers or measures memory, threads and turns would see its neighbours. */
const ALONE: ReadonlySet<string> = new Set([
  'test/apps/compaction-worker/memory.test.ts',
  'test/apps/platform/http/grpc-load.test.ts',
  'test/apps/segment-writer/take-turns.test.ts',
  'test/apps/segment-writer/threads.test.ts',
  'test/db/watched-socket.test.ts',
])
/** Their processor time is less than two fifths of their time. */
const WAITS: ReadonlySet<string> = new Set([
  'test/apps/metastore/frozen-holder.test.ts',
  'test/apps/platform/http/port-front.test.ts',
  'test/apps/platform/object-store/open-store.test.ts',
  'test/apps/platform/postgres/paced-socket.test.ts',
  'test/db/errors.test.ts',
  'test/db/transactions.test.ts',
  'test/apps/metastore/database.test.ts',
  'test/db/pool.test.ts',
  'test/e2e-s3/radosgw.test.ts',
  'test/e2e/compaction.test.ts',
  'test/e2e/deletion.test.ts',
  'test/e2e/differential.test.ts',
  'test/e2e/journal.test.ts',
  'test/e2e/operators.test.ts',
  'test/e2e/poison.test.ts',
])

export function planBatches(paths: string[], filters: string[], options: { isThorough?: boolean } = {}): Batch[] {
  const files = paths.filter(
    (path) =>
      path.endsWith('.test.ts') &&
      !LEFT_OUT.some((prefix) => path.startsWith(prefix)) &&
      (options.isThorough === true || filters.length > 0 || !ONLY_IF_ASKED.some((prefix) => path.startsWith(prefix))) &&
      (filters.length === 0 || filters.some((filter) => path.includes(filter))),
  )
  const groups = new Map<string, string[]>()
  for (const path of files.sort()) {
    const name = groupOf(path)
    const group = groups.get(name)
    if (group === undefined) groups.set(name, [path])
    else group.push(path)
  }
  const batches = [...groups].flatMap(([name, group]) =>
    name.startsWith('test/core') ? [{ name, files: group, waits: WAITS.has(name) }] : slices(name, group),
  )
  return batches.sort((a, b) => secondsOf(b) - secondsOf(a) || (a.name < b.name ? -1 : 1))
}

/** Suites with one name share a process. */
function groupOf(path: string): string {
  if (path.startsWith('test/core/')) return path.slice(0, path.lastIndexOf('/'))
  const isAlone = path in SECONDS || WAITS.has(path) || ALONE.has(path)
  if (isAlone || !SHARED.some((prefix) => path.startsWith(prefix))) return path
  const [test, folder, app] = path.split('/')
  return folder === 'apps' ? `${test}/${folder}/${app}` : `${test}/${folder}`
}

/** Even ones: three dozen suites and one more are four times nine or ten. */
function slices(name: string, files: readonly string[]): Batch[] {
  const count = Math.ceil(files.length / SHARED_FILES_MAX)
  return Array.from({ length: count }, (_, at) => {
    const from = Math.floor((files.length * at) / count)
    const slice = files.slice(from, Math.floor((files.length * (at + 1)) / count))
    return { name: count === 1 ? name : `${name} ${at + 1}/${count}`, files: slice, waits: WAITS.has(name) }
  })
}

function secondsOf({ name, files }: Batch): number {
  const isPure = PURE.some((prefix) => name.startsWith(prefix))
  return SECONDS[name] ?? (isPure ? SECONDS_PURE : Math.max(SECONDS_DEFAULT, files.length * SECONDS_SHARED))
}
