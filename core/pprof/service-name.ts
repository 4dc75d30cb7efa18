/** Every series belongs to a service: the one it names, or `unknown_service`. */
import { LABEL_SERVICE_NAME, type LabelPair } from '../labels/labels.ts'

export const SERVICE_NAME_FALLBACK = 'unknown_service'

/**
 * Adds the fallback where the label is absent. An empty `service_name` is left alone, and refused by label validation:
 * a client that sends the label means to name a service.
 */
export function withServiceName(labels: readonly LabelPair[]): readonly LabelPair[] {
  if (labels.some((label) => label.name === LABEL_SERVICE_NAME)) return labels
  return [...labels, { name: LABEL_SERVICE_NAME, value: SERVICE_NAME_FALLBACK }]
}
