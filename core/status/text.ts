/** Tables as text of equal columns, for terminals and for `curl`. Control characters of names become `?`. */
import type { Concern, StatusReport } from '../rpc/status.ts'
import { type Cell, statusFacts, type StatusTable, type StatusView, TABLES_OF_VIEW } from './tables.ts'

/** How a cell or a severity is coloured; the identity where there is no colour. */
export type Painter = (text: string, tone: Cell['tone']) => string

const PLAIN: Painter = (text) => text
/** A reason may be a paragraph: a line of a terminal is not. */
const CELL_CHARS_MAX = 80

export function renderStatusText(report: StatusReport, view: StatusView, paint: Painter = PLAIN): string {
  const blocks = [
    concernLines(report.concerns, paint),
    ...(view === 'status' ? [factLines(report, paint)] : []),
    ...TABLES_OF_VIEW[view].map((make) => tableLines(make(report), paint)),
  ]
  return blocks.map((lines) => lines.join('\n')).join('\n\n')
}

function concernLines(concerns: readonly Concern[], paint: Painter): string[] {
  if (concerns.length === 0) return [paint('All is well.', 'good')]
  return concerns.map(({ severity, subject, text }) =>
    paint(
      `${severity.toUpperCase()} ${printable(subject)}: ${printable(text)}`,
      severity === 'critical' ? 'bad' : 'warn',
    ),
  )
}

function factLines(report: StatusReport, paint: Painter): string[] {
  const facts = statusFacts(report)
  const width = Math.max(...facts.map(([name]) => name.length))
  return facts.map(([name, cell]) => `${name.padEnd(width)}  ${paint(printable(cell.text), cell.tone)}`)
}

function tableLines(table: StatusTable, paint: Painter): string[] {
  if (table.rows.length === 0) return [`${table.title}: ${table.empty}`]
  const texts = table.rows.map((row) => row.map((cell) => shorten(printable(cell.text))))
  const widths = table.columns.map(({ name }, i) => Math.max(name.length, ...texts.map((row) => row[i]!.length)))
  const pad = (text: string, i: number) =>
    table.columns[i]!.isNumber ? text.padStart(widths[i]!) : text.padEnd(widths[i]!)
  const lines = table.rows.map((row, r) => row.map((cell, i) => paint(pad(texts[r]![i]!, i), cell.tone)).join('  '))
  const head = table.columns.map(({ name }, i) => paint(pad(name, i), 'quiet')).join('  ')
  return [table.title, head, ...lines, ...(table.note === '' ? [] : [printable(table.note)])].map((line) =>
    line.trimEnd(),
  )
}

function shorten(text: string): string {
  return text.length <= CELL_CHARS_MAX ? text : `${text.slice(0, CELL_CHARS_MAX - 1)}…`
}

function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- that is what it looks for
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?')
}
