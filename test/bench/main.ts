/**
 * `npm run bench [-- case…] [--json] [--gate]`: figures of the hot paths, each against a baseline of the same run.
 *
 * Absolute figures say how fast this machine is today. What can be judged anywhere are ratios within a run and sizes;
 * those have goals, and with --gate a missed one is exit code 1. An unknown case or flag is exit code 2.
 */
import { parseArgs } from 'node:util'
import { blockCase } from './block.ts'
import { compactionCase } from './compaction.ts'
import { decodeCase } from './decode.ts'
import { type BenchCase, type CaseResult, meetsGoal, renderResults } from './figure.ts'
import { gunzipCase } from './gunzip.ts'
import { headCase } from './head.ts'
import { queryCase } from './query.ts'
import { runtimesCase } from './runtimes.ts'
import { treeMergeCase } from './tree-merge.ts'

/** Calibration first: it is read before anything else. */
const CASES: readonly BenchCase[] = [
  gunzipCase,
  decodeCase,
  headCase,
  blockCase,
  compactionCase,
  queryCase,
  treeMergeCase,
  runtimesCase,
]

interface Request {
  readonly cases: readonly BenchCase[]
  readonly json: boolean
  readonly gate: boolean
}

function readRequest(argv: readonly string[]): Request | string {
  let parsed
  try {
    const options = { json: { type: 'boolean' }, gate: { type: 'boolean' } } as const
    parsed = parseArgs({ args: [...argv], options, allowPositionals: true })
  } catch (error) {
    // Its first sentence: the rest explains how words that begin with a dash are passed.
    return (error instanceof Error ? error.message : String(error)).split('. ')[0]!
  }
  const { positionals, values } = parsed
  const unknown = positionals.find((name) => CASES.every((each) => each.name !== name))
  if (unknown !== undefined) return `unknown case ${unknown}; known: ${CASES.map(({ name }) => name).join(', ')}`
  // Calibration always runs: without it the rest cannot be compared with another day.
  const cases = CASES.filter(
    (each) => positionals.length === 0 || positionals.includes(each.name) || each === gunzipCase,
  )
  return { cases, json: values.json === true, gate: values.gate === true }
}

async function run({ cases, json, gate }: Request): Promise<number> {
  const results: CaseResult[] = []
  for (const each of cases) {
    if (!json && process.stderr.isTTY) process.stderr.write(`\r\u{1b}[K${each.name}: ${each.about}`)
    const startMs = performance.now()
    const figures = await each.run()
    results.push({ name: each.name, elapsedMs: Math.round(performance.now() - startMs), figures })
  }
  if (!json && process.stderr.isTTY) process.stderr.write('\r\u{1b}[K')
  const missed = results.flatMap(({ name, figures }) =>
    figures.filter((figure) => meetsGoal(figure) === false).map(({ what }) => `${name}: ${what}`),
  )
  if (json) {
    const runtime = `bun ${process.versions.bun}, ${process.platform}-${process.arch}`
    console.log(JSON.stringify({ runtime, missed, results }, null, 2))
  } else {
    for (const line of renderResults(results)) console.log(line)
    const goals = results.flatMap(({ figures }) => figures).filter(({ goal }) => goal !== undefined).length
    console.log('')
    console.log(
      missed.length === 0
        ? `all ${goals} goals met`
        : `${missed.length} of ${goals} goals missed: ${missed.join('; ')}`,
    )
  }
  return gate && missed.length > 0 ? 1 : 0
}

const request = readRequest(process.argv.slice(2))
if (typeof request === 'string') {
  console.error(`bench: ${request}`)
  process.exitCode = 2
} else process.exitCode = await run(request)
