/**
 * What is changed about labels as pushed before they are stored, by kind, for whoever asks where a label went. It follows the
 * rules of core/pprof/series-labels.ts and core/pprof/service-name.ts; those of the tenant are not repairs.
 *
 * Must not: cost more than a look at each label, because every series of every push passes here.
 */
import { LABEL_NAME, LABEL_SERVICE_NAME, LABEL_TYPE, type LabelPair } from '../labels/labels.ts'
import { DELTA_PREFIX, LABEL_SESSION_ID } from '../pprof/series-labels.ts'
import { SERVICE_NAME_FALLBACK } from '../pprof/service-name.ts'

export const LABEL_REPAIRS = {
  service_name_added: `no service_name was sent: it is stored under ${SERVICE_NAME_FALLBACK}`,
  empty_label_dropped: 'a label with an empty value counts as absent',
  session_id_reduced: 'the session id is dropped, or folded into as many values as maxSessionsPerSeries allows',
  profile_name_replaced:
    'a delta or wall profile is stored under its common name, and the name that was sent in __name_replaced__',
} as const

export type LabelRepair = keyof typeof LABEL_REPAIRS

/** Without `service_name_added`: which service is meant may be said elsewhere. */
export function labelRepairs(labels: readonly LabelPair[]): LabelRepair[] {
  let hasEmpty = false
  let hasSession = false
  let name = ''
  let type = ''
  for (const label of labels) {
    // An empty service is refused.
    if (label.value === '') hasEmpty ||= label.name !== LABEL_SERVICE_NAME
    else if (label.name === LABEL_NAME) name = label.value
    else if (label.name === LABEL_TYPE) type = label.value
    else if (label.name === LABEL_SESSION_ID) hasSession = true
  }
  const repairs: LabelRepair[] = []
  if (hasEmpty) repairs.push('empty_label_dropped')
  if (hasSession) repairs.push('session_id_reduced')
  if (name.startsWith(DELTA_PREFIX) || (name === 'wall' && type === 'cpu')) repairs.push('profile_name_replaced')
  return repairs
}
