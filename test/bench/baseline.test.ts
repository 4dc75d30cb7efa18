import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { baselineOf, type Baseline, movementsOf, readBaseline, writeBaseline } from './baseline.ts'
import type { CaseResult, Figure } from './figure.ts'

const CALIBRATION = 'gunzip: calibration (MB/s raw)'

function run(calibration: number, ...figures: Figure[]): CaseResult[] {
  return [
    { name: 'gunzip', elapsedMs: 1, figures: [{ what: 'calibration', value: calibration, unit: 'MB/s raw' }] },
    { name: 'a', elapsedMs: 1, figures },
  ]
}

function saved(figures: Record<string, number>): Baseline {
  return { savedAt: '', runtime: '', cores: 2, note: '', figures: { [CALIBRATION]: 100, ...figures } }
}

test('speeds and times are scaled by calibration, sizes and ratios are not', () => {
  const cases: [unit: string, then: number, now: number, gainPercent: number][] = [
    ['MB/s', 10, 20, 0],
    ['profiles/CPU-s', 10, 10, -50],
    ['MB/s stored', 10, 40, 100],
    ['ms', 10, 5, 0],
    ['ms', 10, 10, -50],
    ['B/sample', 1, 1, 0],
    ['B/sample', 1, 2, -50],
    ['x', 2, 3, 50],
    ['objects', 10, 20, -50],
  ]
  for (const [unit, then, now, gainPercent] of cases) {
    const movements = movementsOf(saved({ [`a: w (${unit})`]: then }), run(200, { what: 'w', value: now, unit }))
    assert.equal(movements.get(`a: w (${unit})`)?.gainPercent, gainPercent, unit)
  }
})

test('the gate fails gated figures alone, beyond 10 % worse', () => {
  const cases: [figure: Partial<Figure>, now: number, isFailed: boolean][] = [
    [{ unit: 'x', isGated: true }, 0.91, false],
    [{ unit: 'x', isGated: true }, 0.89, true],
    [{ unit: 'x' }, 0.5, false],
    [{ unit: 'x', better: 'lower', isGated: true }, 0.5, false],
    [{ unit: 'x', better: 'lower', isGated: true }, 1.11, true],
    [{ unit: 'B/sample', isGated: true }, 1.09, false],
    [{ unit: 'B/sample', isGated: true }, 1.11, true],
  ]
  for (const [figure, now, isFailed] of cases) {
    const key = `a: w (${figure.unit})`
    const movements = movementsOf(saved({ [key]: 1 }), run(100, { what: 'w', value: now, unit: 'x', ...figure }))
    assert.equal(movements.get(key)?.isFailed, isFailed, `${JSON.stringify(figure)} ${now}`)
  }
})

test('what only one side has is left out, and so is calibration itself', () => {
  const movements = movementsOf(saved({ 'a: gone (x)': 1 }), run(100, { what: 'new', value: 1, unit: 'x' }))
  assert.deepEqual([...movements], [])
})

test('a saved baseline reads back', () => {
  const directory = mkdtempSync(join(tmpdir(), 'cinder-baseline-'))
  try {
    const path = join(directory, 'baseline.json')
    assert.equal(readBaseline(path), undefined)
    writeBaseline(path, baselineOf(run(90, { what: 'w', value: 1 / 3, unit: 'x' }), 'quiet'))
    const { figures, note } = readBaseline(path)!
    assert.equal(note, 'quiet')
    assert.deepEqual(figures, { [CALIBRATION]: 90, 'a: w (x)': 0.3333 })
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})
