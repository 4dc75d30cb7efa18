/** Tables and sparklines in plain text. Widths are counted in characters, which suits names of code. */

export interface Column {
  readonly title: string
  readonly align?: 'left' | 'right'
}

/** Lines: titles, then one per row. Without titles if all are empty. */
export function renderTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const titles = columns.map(({ title }) => title)
  const all = titles.every((title) => title === '') ? rows : [titles, ...rows]
  const widths = columns.map((_, c) => all.reduce((width, row) => Math.max(width, lengthOf(row[c] ?? '')), 0))
  return all.map((row) => {
    const cells = columns.map(({ align }, c) => pad(row[c] ?? '', widths[c]!, align))
    return cells.join('  ').trimEnd()
  })
}

function pad(text: string, width: number, align: Column['align']): string {
  const gap = ' '.repeat(width - lengthOf(text))
  return align === 'right' ? gap + text : text + gap
}

function lengthOf(text: string): number {
  let length = 0
  for (const _ of text) length++
  return length
}

const TICKS = '▁▂▃▄▅▆▇█'

/** One character a slot: height by value over the largest, a space where there is none. */
export function renderSparkline(values: readonly (number | undefined)[]): string {
  const top = values.reduce((max: number, value) => Math.max(max, value ?? 0), 0)
  return values
    .map((value) => {
      if (value === undefined) return ' '
      if (top === 0) return TICKS[0]!
      return TICKS[Math.min(TICKS.length - 1, Math.floor((Math.max(0, value) / top) * TICKS.length))]!
    })
    .join('')
}

/** Sums neighbours until at most `slots` remain. */
export function shrinkSeries(values: readonly (number | undefined)[], slots: number): (number | undefined)[] {
  if (values.length <= slots) return [...values]
  const shrunk = new Array<number | undefined>(slots).fill(undefined)
  values.forEach((value, i) => {
    const slot = Math.floor((i * slots) / values.length)
    if (value !== undefined) shrunk[slot] = (shrunk[slot] ?? 0) + value
  })
  return shrunk
}

const EIGHTHS = ' ▏▎▍▌▋▊▉'

/** A bar of `width` characters at most, to an eighth of one. */
export function renderBar(part: number, whole: number, width: number): string {
  const eighths = whole <= 0 ? 0 : Math.round(Math.min(1, Math.max(0, part / whole)) * width * 8)
  const rest = EIGHTHS[eighths % 8]!
  return ('█'.repeat(Math.floor(eighths / 8)) + (rest === ' ' ? '' : rest)).padEnd(width)
}
