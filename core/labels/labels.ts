/** A label set: pairs sorted by name in byte order, names unique, no empty value. */
export interface LabelPair {
  readonly name: string
  readonly value: string
}
export type Labels = readonly LabelPair[]
