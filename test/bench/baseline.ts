/**
 * Figures of an earlier run, and how far a run has moved from them. Pure but for reading and writing the file.
 *
 * 1. Speeds are scaled by the calibration of both runs, times by its inverse; ratios and sizes are compared as they are.
 * 2. The change is given as "better" or "worse", whichever way the figure counts.
 * 3. The gate judges only what holds on any machine: figures marked `gated`, worse by more than 10 %.
 *
 * It must not gate an absolute time or speed: calibration halves the noise of a shared machine, no more.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { type CaseResult, type Figure, keyOf, type Movement } from './figure.ts'

export const BASELINE_PATH = join(import.meta.dirname, 'baseline.json')
export const CALIBRATION_KEY = 'gunzip: calibration (MB/s raw)'
/** Of a gated figure: ratios within a run repeat to 3 to 6 % on a machine that does other things too. */
export const WORSE_PERCENT_MAX = 10

const baselineSchema = v.object({
  savedAt: v.string(),
  runtime: v.string(),
  cores: v.number(),
  note: v.string(),
  figures: v.record(v.string(), v.number()),
})

export type Baseline = v.InferOutput<typeof baselineSchema>

/** Undefined if none was saved. */
export function readBaseline(path: string): Baseline | undefined {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
  return v.parse(baselineSchema, JSON.parse(text))
}

export function writeBaseline(path: string, baseline: Baseline): void {
  writeFileSync(path, `${JSON.stringify(baseline, null, 2)}\n`)
}

/** Of a run of every case: figures of two runs would need two calibrations. */
export function baselineOf(results: readonly CaseResult[], note: string): Baseline {
  const measured = results.flatMap(({ name, figures }) =>
    figures.map((figure) => [keyOf(name, figure), Number(figure.value.toPrecision(4))] as const),
  )
  return {
    savedAt: new Date().toISOString(),
    runtime: `bun ${process.versions.bun}, ${process.platform}-${process.arch}`,
    cores: availableParallelism(),
    note,
    figures: Object.fromEntries(measured),
  }
}

/** By key; figures that only one side has are left out. */
export function movementsOf(baseline: Baseline, results: readonly CaseResult[]): Map<string, Movement> {
  const now = results.flatMap(({ name, figures }) => figures.map((figure) => ({ key: keyOf(name, figure), figure })))
  const calibrationNow = now.find(({ key }) => key === CALIBRATION_KEY)?.figure.value
  const calibrationThen = baseline.figures[CALIBRATION_KEY]
  const scale = calibrationNow === undefined || calibrationThen === undefined ? 1 : calibrationNow / calibrationThen
  const movements = new Map<string, Movement>()
  for (const { key, figure } of now) {
    const then = baseline.figures[key]
    if (then === undefined || then <= 0 || key === CALIBRATION_KEY) continue
    movements.set(key, movementOf(figure, then, scale))
  }
  return movements
}

function movementOf(figure: Figure, then: number, scale: number): Movement {
  const expected = then * scaleFor(figure.unit, scale)
  const gainPercent = ((isHigherBetter(figure) ? figure.value / expected : expected / figure.value) - 1) * 100
  return { gainPercent, isFailed: figure.isGated === true && worsePercent(figure, expected) > WORSE_PERCENT_MAX }
}

/** Of the expected value: 1.1 B where 1.0 was is 10 % worse, and so is 0.9x where 1.0x was. */
function worsePercent(figure: Figure, expected: number): number {
  const change = (figure.value / expected - 1) * 100
  return isHigherBetter(figure) ? -change : change
}

/** A machine of twice the speed is expected to do twice the work, in half the time; sizes and ratios stay. */
function scaleFor(unit: string, scale: number): number {
  if (isSpeed(unit)) return scale
  return unit === 'ms' ? 1 / scale : 1
}

function isSpeed(unit: string): boolean {
  return /\/s\b|\/CPU-s\b/.test(unit)
}

function isHigherBetter({ unit, better }: Figure): boolean {
  return better === undefined ? isSpeed(unit) || unit === 'x' : better === 'higher'
}
