/**
 * What places a series before anything is known of its profiles: the service, as the writer will name it, and a hash of
 * its labels. Edge and writer must agree on the service, because widths follow what writers report by it.
 */
import { parseAppType } from '../ingest/app-type.ts'
import { compareUtf8, getLabel, LABEL_SERVICE_NAME, labelsKey, type LabelPair } from '../labels/labels.ts'
import { withServiceName } from '../pprof/service-name.ts'
import type { WriteSeries } from '../rpc/segment-writer.ts'
import { hashNames } from './hash.ts'

/** Stacks in text name an application, with a suffix for the type of its values. */
export function serviceOfSeries({ labels, ingest }: Pick<WriteSeries, 'labels' | 'ingest'>): string {
  return (
    getLabel(labels, LABEL_SERVICE_NAME) ||
    serviceOfApp(ingest?.app) ||
    getLabel(withServiceName(labels), LABEL_SERVICE_NAME)
  )
}

function serviceOfApp(app: string | undefined): string {
  if (app === undefined) return ''
  const named = parseAppType(app)
  return named.ok ? named.app.service : app
}

/** More than any tenant may have. Past it labels are a fault or an attack, and a million take seconds to be sorted. */
const SORTED_LABELS_MAX = 256

/**
 * Equal for equal labels in any order: a client may send them as it likes, and to it they are one series. Of more than
 * `SORTED_LABELS_MAX` it is equal for equal ones in one order, as the identity of profiles is.
 */
export function seriesKeyOf(labels: readonly LabelPair[]): string {
  if (labels.length > SORTED_LABELS_MAX) return labelsKey(labels)
  return labelsKey(labels.toSorted((a, b) => compareUtf8(a.name, b.name) || compareUtf8(a.value, b.value)))
}

/** 32 bits of a key. */
export function seriesHashOf(key: string): number {
  return hashNames(key, '')
}
