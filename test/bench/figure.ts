/** What a case reports, and how it is printed. */
import { type Column, renderTable } from '../../apps/cli/table.ts'

export interface Figure {
  readonly what: string
  readonly value: number
  readonly unit: string
  /** A goal that holds on any machine: a ratio within the run, or a size that does not depend on speed. */
  readonly goal?: { readonly op: '>=' | '<='; readonly value: number }
}

export interface BenchCase {
  readonly name: string
  readonly about: string
  run(): Figure[] | Promise<Figure[]>
}

export interface CaseResult {
  readonly name: string
  readonly elapsedMs: number
  readonly figures: readonly Figure[]
}

export function meetsGoal({ value, goal }: Figure): boolean | undefined {
  if (goal === undefined) return undefined
  return goal.op === '>=' ? value >= goal.value : value <= goal.value
}

const COLUMNS: readonly Column[] = [
  { title: 'case' },
  { title: 'what' },
  { title: 'value', align: 'right' },
  { title: 'unit' },
  { title: 'goal' },
]

export function renderResults(results: readonly CaseResult[]): string[] {
  const rows = results.flatMap(({ name, figures }) =>
    figures.map((figure, i) => [i === 0 ? name : '', figure.what, show(figure.value), figure.unit, goalText(figure)]),
  )
  return renderTable(COLUMNS, rows)
}

function goalText(figure: Figure): string {
  if (figure.goal === undefined) return ''
  return `${figure.goal.op} ${figure.goal.value} ${meetsGoal(figure) === true ? 'pass' : 'FAIL'}`
}

/** Three significant digits; whole numbers from 100 on. */
function show(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US')
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2)
}
