/**
 * `npm test`: runs the type programs and every suite, and ends with one line, `N passed, N failed`.
 *
 * 1. Plan batches (test/runner/plan.ts) and run them in one more process than there are cores, and what mostly waits in
 *    one beside them (test/runner/lanes.ts).
 * 2. Print one line per batch as it ends; the whole output of a batch that failed.
 * 3. List what was skipped, and with CI=true count each skip as a failure: there every tool is installed.
 * 4. Exit 1 on any failure, on no tests at all, and on a process that died.
 *
 * Arguments filter by path: `npm test -- core/pprof db`. It must not start servers itself: suites do.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { killRunning, runCommand } from './runner/command.ts'
import { shareOut } from './runner/lanes.ts'
import { planBatches, type Batch } from './runner/plan.ts'
import { judge, type Report } from './runner/report.ts'
import { NO_SCRATCH, openScratch, type Scratch } from './runner/scratch.ts'
import { NO_TYPE_MEMORY, openTypeMemory } from './runner/type-memory.ts'
import { listPaths, ROOT } from './tidy/source-tree.ts'

const IS_CI = process.env.CI === 'true'
/** Decoders of one fuzz suite, at most; each takes `FUZZ_SECONDS` if that is set by hand. */
const FUZZ_DECODERS_MAX = 8
/** A whole run is allowed three minutes; a batch that takes two hangs. */
const BATCH_TIMEOUT_MS =
  120_000 +
  FUZZ_DECODERS_MAX * Number(process.env.FUZZ_SECONDS ?? 0) * 1_000 +
  // A quarter of the worlds that CI simulates takes a minute on a core of its own.
  (IS_CI ? 120_000 : 0)
/** For every other file of a process that suites share: a second each, and several times that on a loaded machine. */
const MORE_FILES_MS = 5_000
/** Of one test. Suites that start Postgres need 3 s alone and several times that on a loaded machine. */
const TEST_TIMEOUT_MS = 60_000
/**
 * Suites that go on for minutes with CI=true: a fleet under attack, thousands of simulated worlds, 5,000 recorded requests
 * (27 s alone, 80 s on a loaded machine).
 */
const LONG_SUITES = ['test/chaos/', 'test/sim/', 'test/conformance/']
const LONG_TIMEOUT_MS = 600_000
/** Their temporary files are read by Deno, which allows nothing below /dev to a program without all rights. */
const NOT_IN_MEMORY = new Set(['test/e2e/internal-auth.test.ts'])
/** Many suites wait for processes of their own, for leases and for locks: one more than there are cores. */
const WAITING_LANES = 1
/** More processes than this fight for memory rather than cores. */
const LANES_MAX = 4

let scratch: Scratch = NO_SCRATCH

const TYPE_PROGRAMS = ['core', '.']

interface Job {
  name: string
  waits: boolean
  run: () => Promise<Report & { output: string; durationMs: number }>
}

function suiteJob(batch: Batch, reportPath: string, scratch: Scratch): Job {
  const isLong = LONG_SUITES.some((prefix) => batch.name.startsWith(prefix))
  const timeoutMs = isLong ? LONG_TIMEOUT_MS : BATCH_TIMEOUT_MS + (batch.files.length - 1) * MORE_FILES_MS
  const env = NOT_IN_MEMORY.has(batch.name) ? process.env : { ...process.env, ...scratch.env }
  const argv = [process.execPath, 'test', `--timeout=${isLong ? LONG_TIMEOUT_MS : TEST_TIMEOUT_MS}`, '--reporter=junit']
  argv.push(`--reporter-outfile=${reportPath}`, ...batch.files.map((file) => `./${file}`))
  return {
    name: batch.name,
    waits: batch.waits,
    run: async () => {
      const result = await runCommand(argv, { timeoutMs, env })
      const report = judge({ files: batch.files, xml: readIfThere(reportPath), ...result })
      return { ...report, output: result.output, durationMs: result.durationMs }
    },
  }
}

function typeJob(project: string): Job {
  const name = `types: tsc -p ${project}`
  return {
    name,
    waits: false,
    run: async () => {
      const tsc = join(ROOT, 'node_modules', '.bin', 'tsc')
      const types = { name: project === '.' ? 'all' : project, run: String(process.pid) }
      const memory = IS_CI ? NO_TYPE_MEMORY : openTypeMemory(join(ROOT, 'node_modules', '.cache', 'types'), types)
      // On one core: it has others beside it, and four threads check some things four times (11 s of CPU instead of 7).
      const argv = [tsc, '-p', project, '--singleThreaded', ...memory.args]
      const result = await runCommand(argv, { timeoutMs: BATCH_TIMEOUT_MS })
      const ok = result.exitCode === 0
      if (ok) memory.keep()
      else memory.drop()
      const failed = ok
        ? []
        : [`${name}: ${result.output.match(/error TS/g)?.length ?? 0} type errors ${result.death}`.trim()]
      return { passed: ok ? 1 : 0, failed, skipped: [], output: result.output, durationMs: result.durationMs }
    },
  }
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

async function runJobs(jobs: Job[], total: Report): Promise<void> {
  const { next } = shareOut(jobs)
  const lane = async (kind: 'common' | 'waiting'): Promise<void> => {
    for (let job = next(kind); job !== undefined; job = next(kind)) {
      const result = await job.run()
      total.passed += result.passed
      total.failed.push(...result.failed)
      total.skipped.push(...result.skipped)
      const mark = result.failed.length > 0 ? 'FAIL' : 'ok  '
      const skips = result.skipped.length > 0 ? `, ${result.skipped.length} skipped` : ''
      console.log(`${mark} ${seconds(result.durationMs)}  ${job.name}: ${result.passed} passed${skips}`)
      if (result.failed.length > 0) console.log(result.output)
      else for (const line of result.output.split('\n')) if (line.startsWith('skipped: ')) console.log(`     ${line}`)
    }
  }
  const lanes = Math.max(1, Math.min(LANES_MAX, availableParallelism() + WAITING_LANES, jobs.length))
  await Promise.all([lane('waiting'), ...Array.from({ length: lanes }, () => lane('common'))])
}

function seconds(durationMs: number): string {
  return `${(durationMs / 1000).toFixed(1).padStart(5)} s`
}

function printSummary(total: Report, durationMs: number): boolean {
  if (IS_CI) for (const title of total.skipped) total.failed.push(`${title}: skipped, which CI=true does not allow`)
  if (total.skipped.length > 0 && !IS_CI) {
    console.log(`\n${total.skipped.length} skipped, because a real server or tool is absent here:`)
    for (const title of total.skipped) console.log(`  ${title}`)
  }
  if (total.failed.length > 0) {
    console.log('\nfailed:')
    for (const title of total.failed) console.log(`  ${title}`)
  }
  if (total.passed + total.failed.length === 0) console.log('\nno test ran: the filter matches no suite')
  console.log(`\nin ${seconds(durationMs).trim()}`)
  console.log(`${total.passed} passed, ${total.failed.length} failed`)
  return total.failed.length === 0 && total.passed > 0
}

function printLeftOut(all: readonly Batch[], run: readonly Batch[]): void {
  const names = new Set(run.map(({ name }) => name))
  const left = all.filter(({ name }) => !names.has(name))
  if (left.length === 0) return
  console.log(`\n${left.length} long suites are left out; they run by name and with CI=true:`)
  for (const { name } of left) console.log(`  npm test -- ${name}`)
}

async function main(filters: string[]): Promise<number> {
  const flag = filters.find((filter) => filter.startsWith('-'))
  if (flag !== undefined) {
    console.log(`unknown option ${flag}; arguments filter by path: npm test -- core/pprof db`)
    console.log('0 passed, 1 failed')
    return 2
  }
  process.chdir(ROOT)
  const startedMs = performance.now()
  const reports = mkdtempSync(join(tmpdir(), 'cinder-test-'))
  scratch = IS_CI ? NO_SCRATCH : openScratch()
  const paths = listPaths(ROOT)
  const batches = planBatches(paths, filters, { isThorough: IS_CI })
  const jobs = batches.map((batch, index) => suiteJob(batch, join(reports, `${index}.xml`), scratch))
  if (filters.length === 0) jobs.unshift(...TYPE_PROGRAMS.map(typeJob))
  const total: Report = { passed: 0, failed: [], skipped: [] }
  try {
    await runJobs(jobs, total)
  } finally {
    killRunning()
    rmSync(reports, { recursive: true, force: true })
    scratch.remove()
  }
  if (filters.length === 0) printLeftOut(planBatches(paths, [], { isThorough: true }), batches)
  return printSummary(total, performance.now() - startedMs) ? 0 : 1
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    killRunning()
    scratch.remove()
    process.exit(130)
  })
}
process.exitCode = await main(process.argv.slice(2))
