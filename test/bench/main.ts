/**
 * `npm run bench [-- case…] [--json] [--gate] [--save [--note TEXT]]`: figures of the hot paths, each against a baseline
 * of the same run and against the saved one, scaled by calibration.
 *
 * Absolute figures say how fast this machine is today. What can be judged anywhere are ratios within a run and sizes;
 * those have goals, and some are held against the saved baseline: with --gate a missed goal, or a gated figure more than
 * 10 % worse than saved, is exit code 1. An unknown case or flag is exit code 2.
 *
 * `--profile [path…]` shows flame graphs of the hot paths instead (test/bench/self-profile.ts).
 */
import { parseArgs } from 'node:util'
import { blockCase } from './block.ts'
import { compactionCase } from './compaction.ts'
import { daysCase } from './days.ts'
import { decodeCase } from './decode.ts'
import { endToEndCase } from './end-to-end.ts'
import { type Baseline, BASELINE_PATH, baselineOf, movementsOf, readBaseline, writeBaseline } from './baseline.ts'
import { type BenchCase, type CaseResult, keyOf, meetsGoal, type Movement, renderResults } from './figure.ts'
import { firstCompactionCase } from './first-compaction.ts'
import { gunzipCase } from './gunzip.ts'
import { headCase } from './head.ts'
import { indexScaleCase } from './index-scale.ts'
import { isolationCase, isolationFleetCase } from './isolation.ts'
import { jfrCase } from './jfr.ts'
import { loadCase } from './load.ts'
import { oldTransactionCase } from './old-transaction.ts'
import { otlpCase } from './otlp.ts'
import { placementCase } from './placement.ts'
import { queryCase } from './query.ts'
import { queryMemoryCase } from './query-memory.ts'
import { readsCase } from './reads.ts'
import { runtimesCase } from './runtimes.ts'
import { profileHotPaths } from './self-profile.ts'
import { treeMergeCase } from './tree-merge.ts'

/** Calibration first: it is read before anything else. */
const CASES: readonly BenchCase[] = [
  gunzipCase,
  decodeCase,
  jfrCase,
  otlpCase,
  headCase,
  blockCase,
  compactionCase,
  queryCase,
  treeMergeCase,
  runtimesCase,
  endToEndCase,
  firstCompactionCase,
  indexScaleCase,
  oldTransactionCase,
  placementCase,
  readsCase,
  daysCase,
  queryMemoryCase,
  isolationCase,
  isolationFleetCase,
  loadCase,
]

interface ProfileRequest {
  readonly hotPaths: readonly string[]
}

interface Request {
  readonly cases: readonly BenchCase[]
  readonly json: boolean
  readonly gate: boolean
  /** What to say of the machine in the baseline; undefined = do not save. */
  readonly saveNote: string | undefined
}

function readRequest(argv: readonly string[]): Request | ProfileRequest | string {
  let parsed
  try {
    const options = {
      json: { type: 'boolean' },
      gate: { type: 'boolean' },
      profile: { type: 'boolean' },
      save: { type: 'boolean' },
      note: { type: 'string' },
    } as const
    parsed = parseArgs({ args: [...argv], options, allowPositionals: true })
  } catch (error) {
    // Its first sentence: the rest explains how words that begin with a dash are passed.
    return (error instanceof Error ? error.message : String(error)).split('. ')[0]!
  }
  const { positionals, values } = parsed
  if (values.profile === true) return { hotPaths: positionals }
  const unknown = positionals.find((name) => CASES.every((each) => each.name !== name))
  if (unknown !== undefined) return `unknown case ${unknown}; known: ${CASES.map(({ name }) => name).join(', ')}`
  if (values.save === true && positionals.length > 0) return '--save takes every case: a baseline has one calibration'
  // Calibration always runs: without it the rest cannot be compared with another day.
  const cases = CASES.filter(
    (each) =>
      (positionals.length === 0 && each.optional !== true) || positionals.includes(each.name) || each === gunzipCase,
  )
  const saveNote = values.save === true ? (values.note ?? '') : undefined
  return { cases, json: values.json === true, gate: values.gate === true, saveNote }
}

async function run({ cases, json, gate, saveNote }: Request): Promise<number> {
  const baseline = readBaseline(BASELINE_PATH)
  const results: CaseResult[] = []
  for (const each of cases) {
    if (!json && process.stderr.isTTY) process.stderr.write(`\r\u{1b}[K${each.name}: ${each.about}`)
    const result = await runCase(each)
    results.push(gate && isFailed(baseline, [...results, result]) ? await runCase(each) : result)
  }
  if (!json && process.stderr.isTTY) process.stderr.write('\r\u{1b}[K')
  const movements = baseline === undefined ? new Map<string, Movement>() : movementsOf(baseline, results)
  const missed = missedOf(results)
  const worse = [...movements].filter(([, { isFailed }]) => isFailed).map(([key]) => key)
  if (json) {
    const runtime = `bun ${process.versions.bun}, ${process.platform}-${process.arch}`
    console.log(JSON.stringify({ runtime, missed, worse, movements: Object.fromEntries(movements), results }, null, 2))
  } else {
    for (const line of renderResults(results, movements)) console.log(line)
    console.log('')
    for (const line of verdictLines(results, missed, worse)) console.log(line)
    if (baseline !== undefined) console.log(`baseline of ${baseline.savedAt}, ${baseline.runtime}: ${baseline.note}`)
  }
  if (saveNote !== undefined) {
    writeBaseline(BASELINE_PATH, baselineOf(results, saveNote))
    return 0
  }
  return gate && missed.length + worse.length > 0 ? 1 : 0
}

async function runCase({ name, run: measureCase }: BenchCase): Promise<CaseResult> {
  const startMs = performance.now()
  const figures = await measureCase()
  return { name, elapsedMs: Math.round(performance.now() - startMs), figures }
}

/** Of the last case. The gate gives it a second chance: one busy second may spoil a ratio, a defect spoils it twice. */
function isFailed(baseline: Baseline | undefined, results: readonly CaseResult[]): boolean {
  const last = results.slice(-1)
  if (missedOf(last).length > 0) return true
  if (baseline === undefined) return false
  const keys = new Set(last.flatMap(({ name, figures }) => figures.map((figure) => keyOf(name, figure))))
  return [...movementsOf(baseline, results)].some(([key, movement]) => keys.has(key) && movement.isFailed)
}

function missedOf(results: readonly CaseResult[]): string[] {
  return results.flatMap(({ name, figures }) =>
    figures.filter((figure) => meetsGoal(figure) === false).map((figure) => keyOf(name, figure)),
  )
}

function verdictLines(results: readonly CaseResult[], missed: readonly string[], worse: readonly string[]): string[] {
  const goals = results.flatMap(({ figures }) => figures).filter(({ goal }) => goal !== undefined).length
  const goalLine =
    missed.length === 0 ? `all ${goals} goals met` : `${missed.length} of ${goals} goals missed: ${missed.join('; ')}`
  return worse.length === 0 ? [goalLine] : [goalLine, `more than 10 % worse than the baseline: ${worse.join('; ')}`]
}

const request = readRequest(process.argv.slice(2))
if (typeof request === 'string') {
  console.error(`bench: ${request}`)
  process.exitCode = 2
} else process.exitCode = await ('hotPaths' in request ? profileHotPaths(request.hotPaths) : run(request))
