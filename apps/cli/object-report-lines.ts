/** The report about an object as text: one table of datasets, then one of sections per dataset, then the damage. Pure. */
import { MS_PER_HOUR } from '#core/units.ts'
import type { Condition, DatasetReport, ObjectReport, SectionReport } from './object-report.ts'
import { formatBytes, formatCount, formatInstant } from './quantity.ts'
import { type Paint, printable } from './shell.ts'
import { renderTable } from './table.ts'

export function renderReport(report: ObjectReport, paint: Paint): string[] {
  return [
    ...renderHead(report, paint),
    ...(report.datasets.length === 0 ? [] : ['', ...renderDatasets(report.datasets)]),
    ...report.datasets.flatMap((dataset) => ['', ...renderDataset(dataset, paint)]),
    '',
    ...renderVerdict(report, paint),
  ]
}

function renderHead({ content, sizeBytes, header, footer, footerBytes }: ObjectReport, paint: Paint): string[] {
  const state = `header ${condition(header, paint)}, footer ${condition(footer, paint)}, ${formatBytes(sizeBytes)}`
  if (content === undefined) return [`object: ${state}`]
  const { objectId, level, createdMs, jobId, epoch, sources } = content
  const lines = [
    `object ${printable(objectId)}  level ${level}  created ${instant(createdMs)}`,
    `${state}, of it ${formatBytes(footerBytes)} footer`,
  ]
  if (jobId !== '') lines.push(`made by job ${printable(jobId)}, epoch ${epoch}`)
  for (const source of sources) lines.push(`from ${printable(source.objectId)}, datasets ${source.datasets.join(', ')}`)
  return lines
}

function renderDatasets(datasets: readonly DatasetReport[]): string[] {
  const rows = datasets.map(({ descriptor, bytesPerSample, damage }) => [
    String(descriptor.index),
    printable(descriptor.tenant),
    printable(descriptor.service),
    `${instant(descriptor.windowStartMs)} + ${descriptor.windowMs / MS_PER_HOUR} h`,
    formatCount(descriptor.profileCount),
    formatCount(descriptor.sampleCount),
    formatBytes(descriptor.sizeBytes),
    bytesPerSample.toFixed(2),
    damage.length === 0 ? 'ok' : 'damaged',
  ])
  return renderTable(
    [
      { title: 'dataset', align: 'right' },
      { title: 'tenant' },
      { title: 'service' },
      { title: 'window' },
      { title: 'profiles', align: 'right' },
      { title: 'samples', align: 'right' },
      { title: 'size', align: 'right' },
      { title: 'B/sample', align: 'right' },
      { title: 'state' },
    ],
    rows,
  )
}

function renderDataset(dataset: DatasetReport, paint: Paint): string[] {
  const { descriptor, types, sections, sums } = dataset
  const samples = descriptor.sampleCount
  const table = renderTable(
    [
      { title: 'section' },
      { title: 'kind', align: 'right' },
      { title: 'codec' },
      { title: 'stored', align: 'right' },
      { title: 'raw', align: 'right' },
      { title: 'rows', align: 'right' },
      { title: 'B/sample', align: 'right' },
      { title: 'checksum' },
    ],
    sections.map((section) => sectionRow(section, samples)),
  )
  const spans = `data from ${instant(descriptor.minTimeMs)} to ${instant(descriptor.maxTimeMs)}`
  return [
    paint.bold(`dataset ${descriptor.index}: ${printable(descriptor.service)} of ${printable(descriptor.tenant)}`),
    `${spans}, bytes ${descriptor.offset} to ${descriptor.offset + descriptor.sizeBytes}, head ${formatBytes(descriptor.headBytes)}`,
    ...(types.length === 0 ? [] : [`types ${types.map(printable).join(', ')}`]),
    ...table.map((line) => `  ${line}`),
    `  conservation sums: ${condition(sums.condition, paint)} (${formatCount(sums.count)})`,
  ]
}

function sectionRow(section: SectionReport, samples: number): string[] {
  return [
    section.isRequired ? section.name : `${section.name} (optional)`,
    String(section.kind),
    section.codec,
    formatCount(section.storedBytes),
    formatCount(section.rawBytes),
    section.rows === undefined ? '' : formatCount(section.rows),
    samples === 0 ? '' : (section.storedBytes / samples).toFixed(3),
    section.checksum,
  ]
}

function renderVerdict({ damage, datasets }: ObjectReport, paint: Paint): string[] {
  if (damage.length === 0)
    return [`${paint.green('whole')}: every checksum and every conservation sum of ${datasets.length} datasets holds`]
  return [`${paint.red('damaged')}: ${damage.length} faults`, ...damage.map((line) => `  ${printable(line)}`)]
}

function condition(state: Condition, paint: Paint): string {
  return state === 'ok' ? paint.green(state) : state === 'damaged' ? paint.red(state) : paint.yellow(state)
}

/** Times of a damaged footer may be none. */
function instant(timeMs: number): string {
  return Math.abs(timeMs) <= 8.64e15 ? formatInstant(timeMs) : `${timeMs} ms`
}
