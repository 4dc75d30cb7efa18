/**
 * The symbols of the inputs of a merge, input by input, until the tables pass the budget.
 *
 * 1. A source whose stacks all have keys that this service learned (known-stacks.ts) is not decoded: its symbols are in the
 *    tables.
 * 2. Any other is decoded and mapped into the tables. A source with skips is always decoded, for the sums of what is skipped.
 */
import { CinderError } from '../errors.ts'
import type { Codec } from '../ports/codec.ts'
import type { RegionInput } from './merge-source.ts'
import { RegionSource } from './merge-source.ts'
import { type MergeMemory, type PreparedSymbols, ServiceSymbols } from './service-symbols.ts'

export interface SourcesWithSymbols {
  readonly sources: readonly RegionSource[]
  /** Stack of the merge, by stack of each source. */
  readonly stackOf: readonly Uint32Array[]
  readonly symbols: PreparedSymbols
  /** Stacks of some source were found by keys: if sums do not agree, these may be why. */
  readonly byKeys: boolean
}

export interface TakeSymbolsOptions {
  readonly codec: Codec
  readonly budgetBytes: number
  readonly memory: MergeMemory
  /** Every stack is looked up by its content. */
  readonly ignoreKeys?: boolean
}

/** As many inputs as fit, at least one. */
export function takeSymbols(inputs: readonly RegionInput[], options: TakeSymbolsOptions): SourcesWithSymbols {
  const { codec, budgetBytes, memory, ignoreKeys = false } = options
  const { tenant, service } = inputs[0]!.descriptor
  const sources: RegionSource[] = []
  const stackOf: Uint32Array[] = []
  let byKeys = false
  let tables = memory.take(tenant, service)
  for (const input of inputs) {
    const source = new RegionSource(input, codec, memory.scratch.ofSource(sources.length))
    const keys = ignoreKeys || source.skip.length > 0 ? undefined : source.readStackKeys()
    const known = keys && tables.findStacks(keys)
    if (known !== undefined && known.unknownCount === 0) {
      source.trustStackCount(known.stackOf.length)
      tables.useStacks(known.stackOf)
      stackOf.push(known.stackOf)
      sources.push(source)
      byKeys = true
      continue
    }
    const ownBytes = source.symbolBytesMax
    if (tables.sizeBytes + ownBytes > budgetBytes) {
      if (sources.length > 0) break
      if (ownBytes > budgetBytes) throw overBudget(input, ownBytes, budgetBytes)
      tables = new ServiceSymbols()
    }
    const symbols = source.decodeSymbols()
    const mapped = tables.addSource(symbols, source.usedStacks(symbols))
    if (keys !== undefined && keys.numbers.length === mapped.length) tables.learnStacks(keys, mapped)
    stackOf.push(mapped)
    source.closeSymbols(symbols)
    sources.push(source)
  }
  const symbols = tables.take(stackOf, { codec, order: memory.scratch.order })
  memory.keep(tenant, service, tables)
  return { sources, stackOf, symbols, byKeys }
}

function overBudget({ descriptor }: RegionInput, neededBytes: number, budgetBytes: number): CinderError {
  const { index, tenant, service } = descriptor
  return new CinderError(
    'resource_exhausted',
    `dataset ${index} (tenant ${JSON.stringify(tenant)}, service ${JSON.stringify(service)}) may need ${neededBytes} bytes for its symbols, allowed are ${budgetBytes}`,
    { reason: 'over_budget' },
  )
}
