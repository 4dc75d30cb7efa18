/**
 * Builds the section `functionTotals` of a dataset from totals by stack, and leaves it out where it would not pay: without
 * a function level, past the bytes that the writer allows, or with more groups than a service has.
 */
import type { FunctionLevel } from '../symbols/function-level.ts'
import type { Dataset } from './dataset.ts'
import { corrupt, datasetSubject } from './format.ts'
import {
  encodeFunctionTotals,
  findFunctionTotalFault,
  FUNCTION_TOTALS_GROUPS_MAX,
  functionTotalsOf,
  type StackTotalsOfGroup,
} from './function-totals.ts'
import { RollupBuilder } from './rollup-build.ts'
import { ROLLUP_BYTES_FRACTION } from './rollup-section.ts'

/** About what zstd makes of it: values of neighbours differ, nodes follow each other. */
const PACKED_SHARE = 0.6

/**
 * What totals may take. Where rollups did not pay they have their share too, because nothing else answers whole hours there:
 * of a service with 288 profiles a day 30 days cost 48 ms as samples.
 */
export function functionTotalsBytesMax(
  framesBytes: number,
  { fraction, hasRollups }: { readonly fraction: number; readonly hasRollups: boolean },
): number {
  return fraction === 0 ? 0 : framesBytes * (fraction + (hasRollups ? 0 : ROLLUP_BYTES_FRACTION))
}

export interface TotalledDataset extends Pick<Dataset, 'tenant' | 'service' | 'headers' | 'groups'> {
  readonly symbols: Pick<Dataset['symbols'], 'stackNode'>
  readonly functionLevel: FunctionLevel | undefined
}

/** Fails with `data_loss` if the totals do not add up to the headers. */
export function packFunctionTotals(
  dataset: TotalledDataset,
  totals: readonly (StackTotalsOfGroup | undefined)[],
  allowedBytes: number,
): Uint8Array | undefined {
  const { functionLevel: level, symbols } = dataset
  if (level === undefined || allowedBytes === 0 || dataset.groups.length > FUNCTION_TOTALS_GROUPS_MAX) return undefined
  const entries = functionTotalsOf(dataset, totals, { stackNode: symbols.stackNode, level })
  const fault = findFunctionTotalFault(dataset, entries)
  if (fault !== undefined) throw corrupt(`${datasetSubject({ ...dataset, index: 0 })}: function totals`, fault)
  const packed = encodeFunctionTotals(entries)
  return packed.length * PACKED_SHARE <= allowedBytes ? packed : undefined
}

/** The same from the rows of a whole dataset. */
export function buildFunctionTotals(
  dataset: TotalledDataset & Pick<Dataset, 'rows' | 'symbols'>,
  allowedBytes: number,
): Uint8Array | undefined {
  if (dataset.functionLevel === undefined || allowedBytes === 0) return undefined
  if (dataset.groups.length > FUNCTION_TOTALS_GROUPS_MAX) return undefined
  const { headers, rows, groups, symbols } = dataset
  const builder = new RollupBuilder({ groups, headers, stackCount: symbols.stackCount, keepsTotals: true })
  for (let h = 0; h < headers.count; h++)
    builder.addHeaders({ first: h, end: h + 1 }, rows[headers.group[h]!]!, headers.rowStart[h]!)
  return packFunctionTotals(dataset, builder.takeTotals(), allowedBytes)
}
