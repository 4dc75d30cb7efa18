/**
 * Reads what `bun test --reporter=junit` wrote about one process and judges it. Pure.
 *
 * A process can lie by dying: every file it was given must have reported at least one test, and an exit code that no
 * failed test explains is a failure of its own.
 */

export interface Report {
  passed: number
  /** Names of failed tests, and faults of files and of the process. */
  failed: string[]
  skipped: string[]
}

export interface Judged {
  files: string[]
  xml: string
  exitCode: number | undefined
  death: string
}

const CASE = /<testcase\s([^>]*?)(\/>|>([\s\S]*?)<\/testcase>)/g

export function judge(input: Judged): Report {
  const report: Report = { passed: 0, failed: [], skipped: [] }
  const seen = new Set<string>()
  for (const [, attributes = '', , body = ''] of input.xml.matchAll(CASE)) {
    const file = attribute(attributes, 'file')
    const group = attribute(attributes, 'classname')
    const title = `${file}: ${group === '' ? '' : `${group} > `}${attribute(attributes, 'name')}`
    seen.add(file)
    if (/<(failure|error)\b/.test(body)) report.failed.push(title)
    else if (/<skipped\b/.test(body)) report.skipped.push(title)
    else report.passed++
  }
  for (const file of input.files) {
    if (!seen.has(file)) report.failed.push(`${file}: reported no test${input.death === '' ? '' : `, ${input.death}`}`)
  }
  if (input.exitCode !== 0 && report.failed.length === 0) {
    report.failed.push(`${input.files.join(' ')}: ${input.death === '' ? `exit code ${input.exitCode}` : input.death}`)
  }
  return report
}

function attribute(attributes: string, name: string): string {
  const value = new RegExp(`(?:^|\\s)${name}="([^"]*)"`).exec(attributes)?.[1] ?? ''
  return value
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&apos;', "'")
    .replaceAll('&#10;', ' ')
    .replaceAll('&amp;', '&')
}
