/**
 * Whole jobs of the compaction worker in a process of its own, over local files: read, merge, prove that nothing was lost,
 * write. First the segments of a fleet, level by level; then the memory of a large job and of a cardinality bomb.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { assert } from '#core/assert.ts'
import type { SourceObject } from '#core/rpc/metastore.ts'
import { openFilesystemStore } from '#platform/object-store/filesystem.ts'
import { storeBomb, storeLargeJob, storeSegments } from './compaction-corpus.ts'
import type { ProgramInput, ProgramOutput, ProgramRun } from './compaction-program.ts'
import type { BenchCase, Figure } from './figure.ts'

const SEGMENTS_PER_JOB = 20
const JOBS = 5
/** A worker lives for days, and its code is compiled for the first hundred jobs: the median of the last quarter counts. */
const ROUNDS = 20
const LARGE_ROWS_MILLIONS = 6
const BOMB_STACKS_MILLIONS = 1
/** A frame of each input, tables and the encoded output: see the worker's README. */
const MEMORY_PER_INPUT_MAX = 8

const PROGRAM = fileURLToPath(new URL('./compaction-program.ts', import.meta.url))

export const compactionCase: BenchCase = {
  name: 'compaction',
  about: `${JOBS * SEGMENTS_PER_JOB} segments of 8 services, level by level; memory of large jobs`,
  async run() {
    const rootDir = mkdtempSync(join(tmpdir(), 'cinder-compaction-'))
    try {
      return [...(await levelFigures(rootDir)), ...(await memoryFigures(rootDir))]
    } finally {
      rmSync(rootDir, { recursive: true, force: true })
    }
  },
}

async function levelFigures(rootDir: string): Promise<Figure[]> {
  const store = await openFilesystemStore(rootDir)
  const { sources, pushedSamples } = await storeSegments(store, JOBS * SEGMENTS_PER_JOB)
  const jobs = Array.from({ length: JOBS }, (_, i) => sources.slice(i * SEGMENTS_PER_JOB, (i + 1) * SEGMENTS_PER_JOB))
  const first = runProgram({ rootDir, rounds: ROUNDS, jobs: jobs.map((of) => ({ level: 1, sources: of })) })
  const pushed = pushedSamples.reduce((sum, samples) => sum + samples, 0)
  const merged = first.outputs.flat()
  assert(rowsOf(merged) === rowsOf(sources), 'a merge keeps every row')
  const up = runProgram({ rootDir, rounds: ROUNDS * 2, jobs: [{ level: 2, sources: merged }] })
  const tiers = up.outputs.flat()
  const closed = runProgram({ rootDir, rounds: ROUNDS * 2, jobs: [{ level: 5, sources: tiers }] })
  assert(rowsOf(closed.outputs.flat()) === rowsOf(sources), 'a merge keeps every row')
  return [
    ...speedOf('level 0 to 1', first, { samples: pushed / JOBS, unit: 'M pushed samples' }),
    ...speedOf('level 0 to 1, rows', first, { samples: rowsOf(sources) / JOBS, unit: 'M rows' }),
    ...speedOf('level 1 to 2, rows', up, { samples: rowsOf(merged), unit: 'M rows' }),
    ...speedOf('level 2 to 5, rows', closed, { samples: rowsOf(tiers), unit: 'M rows' }),
    { what: 'level 1', value: bytesOf(merged) / rowsOf(merged), unit: 'B/row' },
    { what: 'level 5', value: bytesOf(closed.outputs.flat()) / rowsOf(sources), unit: 'B/row' },
  ]
}

function speedOf(what: string, { runs }: ProgramOutput, of: { samples: number; unit: string }): Figure[] {
  const perMs = of.samples / 1e3
  return [
    {
      what,
      value: perMs / medianOf(runs, ({ wallMs }) => wallMs),
      unit: `${of.unit} per job-second`,
      better: 'higher',
    },
    { what, value: perMs / medianOf(runs, ({ cpuMs }) => cpuMs), unit: `${of.unit} per CPU-second`, better: 'higher' },
    // What is left of the spread between runs: a clock, or a neighbour on the core, moves both alike.
    {
      what: `${what}, over inflating`,
      value: (perMs * 1e6) / medianOf(runs, ({ cpuMs, inflatedPerCpuSecond }) => cpuMs * inflatedPerCpuSecond) / 1e3,
      unit: `K ${of.unit.slice(2)} per MB inflated`,
      better: 'higher',
    },
  ]
}

async function memoryFigures(rootDir: string): Promise<Figure[]> {
  const store = await openFilesystemStore(rootDir)
  const large = await storeLargeJob(store, LARGE_ROWS_MILLIONS)
  const ofLarge = runProgram({ rootDir, rounds: 1, jobs: [{ level: 1, sources: large }] })
  const bomb = await storeBomb(store, BOMB_STACKS_MILLIONS)
  const ofBomb = runProgram({ rootDir, rounds: 1, jobs: [{ level: 1, sources: bomb }] })
  return [
    {
      what: `large job of ${Math.round(bytesOf(large) / 1e6)} MB, peak memory over input`,
      value: ofLarge.peakBytes / bytesOf(large),
      unit: 'x',
      better: 'lower',
      goal: { op: '<=', value: MEMORY_PER_INPUT_MAX },
    },
    { what: 'large job, peak memory', value: ofLarge.peakBytes / 1e6, unit: 'MB' },
    {
      what: `1 M distinct stacks in ${Math.round(bytesOf(bomb) / 1e6)} MB, peak memory`,
      value: ofBomb.peakBytes / 1e6,
      unit: 'MB',
    },
    { what: 'process before a job', value: ofLarge.startBytes / 1e6, unit: 'MB' },
  ]
}

function runProgram(input: ProgramInput): ProgramOutput {
  const text = execFileSync(process.execPath, [PROGRAM], { input: JSON.stringify(input), maxBuffer: 1 << 28 })
  return JSON.parse(text.toString()) as ProgramOutput
}

function medianOf(runs: readonly ProgramRun[], figure: (run: ProgramRun) => number): number {
  const late = runs.slice(-Math.ceil(runs.length / 4)).map(figure)
  return late.sort((a, b) => a - b)[late.length >> 1]!
}

function rowsOf(objects: readonly SourceObject[]): number {
  return objects.reduce(
    (sum, { datasets }) => sum + datasets.reduce((rows, { descriptor }) => rows + descriptor.sampleCount, 0),
    0,
  )
}

function bytesOf(objects: readonly SourceObject[]): number {
  return objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
}
