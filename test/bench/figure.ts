/** What a case reports, and how it is printed. */
import { type Column, renderTable } from '../../apps/cli/table.ts'

export interface Figure {
  readonly what: string
  readonly value: number
  readonly unit: string
  /** A goal that holds on any machine: a ratio within the run, or a size that does not depend on speed. */
  readonly goal?: { readonly op: '>=' | '<='; readonly value: number }
  /** Default: higher for speeds and `x`, lower for times and sizes. */
  readonly better?: 'higher' | 'lower'
  /** It repeats on any machine, so that `--gate` may compare it with the saved baseline. */
  readonly isGated?: boolean
}

/** Against the saved baseline. */
export interface Movement {
  /** Negative = worse, whichever way the figure counts. */
  readonly gainPercent: number
  readonly isFailed: boolean
}

export interface BenchCase {
  readonly name: string
  readonly about: string
  /** Takes minutes: runs only if named, and is not in the baseline. */
  readonly optional?: boolean
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

/** What a figure is called in the baseline. */
export function keyOf(caseName: string, { what, unit }: Figure): string {
  return `${caseName}: ${what} (${unit})`
}

const COLUMNS: readonly Column[] = [
  { title: 'case' },
  { title: 'what' },
  { title: 'value', align: 'right' },
  { title: 'unit' },
  { title: 'baseline', align: 'right' },
  { title: 'goal' },
]

/** `movements`: by key, empty without a baseline. */
export function renderResults(
  results: readonly CaseResult[],
  movements: ReadonlyMap<string, Movement> = new Map(),
): string[] {
  const rows = results.flatMap(({ name, figures }) =>
    figures.map((figure, i) => {
      const movement = movementText(movements.get(keyOf(name, figure)))
      return [i === 0 ? name : '', figure.what, show(figure.value), figure.unit, movement, goalText(figure)]
    }),
  )
  return renderTable(COLUMNS, rows)
}

function movementText(movement: Movement | undefined): string {
  if (movement === undefined) return ''
  const { gainPercent, isFailed } = movement
  const rounded = Math.round(gainPercent)
  const text = rounded === 0 ? '=' : `${Math.abs(rounded)} % ${rounded > 0 ? 'better' : 'worse'}`
  return isFailed ? `${text} FAIL` : text
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
