/**
 * The merge of one batch as a pure function: regions in, encoded datasets out. Runs in this thread or in another.
 *
 * Each group is merged and encoded before the next (core/compaction/merge-regions.ts). A group whose symbols pass the
 * budget comes out as several datasets of one key. What fails is told apart: over the budget, a damaged source (each input
 * of the group is then read alone to name it), or a fault of ours, which keeps the sources: where the sums do not agree it
 * brings the bad output along, and names the inputs of its group, so that they part from the rest of the job.
 */
import { compareSums, conservationSums, stackHashes } from '#core/block/conservation.ts'
import { decodeDataset, openDataset } from '#core/block/read.ts'
import type { ObjectDataset } from '#core/block/write.ts'
import { findTotalFault } from '#core/compaction/merge-totals.ts'
import { NOT_CONSERVED } from '#core/status/words.ts'
import { mergeRegions } from '#core/compaction/merge-regions.ts'
import { MergeMemory } from '#core/compaction/service-symbols.ts'
import type { RegionInput } from '#core/compaction/merge-source.ts'
import { type MergeWindow, rollupRowsMinOf } from '#core/compaction/merge.ts'
import { NotConserved } from '#core/compaction/not-conserved.ts'
import { CinderError } from '#core/errors.ts'
import type { AggregationWindow } from '#core/rpc/metastore.ts'
import type { Codec } from '#core/ports/codec.ts'
import { blame, notConserved } from './job-failure.ts'

export interface MergeGroupInput extends RegionInput {
  readonly objectId: string
}

/** Datasets of one tenant, service and window. */
export interface MergeGroup {
  readonly window: MergeWindow
  readonly inputs: readonly MergeGroupInput[]
}

export interface MergeTask {
  /** Of the outputs. */
  readonly level: number
  readonly groups: readonly MergeGroup[]
  /** Of the symbols of one group. */
  readonly symbolBytesMax: number
  /** Of the job. */
  readonly aggregation?: readonly AggregationWindow[] | undefined
  /** Told now and then: how much of the group at this position is merged, 0 to 1. */
  readonly onShare?: ((group: number, share: number) => void) | undefined
}

export interface MergeTaskResult {
  /** In the order of the groups. */
  readonly datasets: readonly ObjectDataset[]
  /** Of datasets that lack their totals by function: why. */
  readonly totalsFaults: readonly string[]
}

/** `memory`: of the thread, from task to task. */
export function runMergeTask(task: MergeTask, codec: Codec, memory = new MergeMemory()): MergeTaskResult {
  const tools = { codec, budgetBytes: task.symbolBytesMax, memory, rollupRowsMin: rollupRowsMinOf(task.level) }
  const windowsMs = new Map(task.aggregation?.map(({ tenant, windowMs }) => [tenant, windowMs]))
  const totalsFaults: string[] = []
  return {
    datasets: task.groups.flatMap((group, at) => {
      const aggregationWindowMs = windowsMs.get(group.inputs[0]!.descriptor.tenant) ?? 0
      const onShare = (share: number): void => task.onShare?.(at, share)
      return mergeGroup(group, { ...tools, aggregationWindowMs, onShare, totalsFaults })
    }),
    totalsFaults,
  }
}

interface MergeTools {
  readonly codec: Codec
  readonly budgetBytes: number
  readonly memory: MergeMemory
  readonly rollupRowsMin: number
  readonly aggregationWindowMs: number
  readonly onShare: (share: number) => void
  readonly totalsFaults: string[]
}

function mergeGroup({ window, inputs }: MergeGroup, tools: MergeTools): ObjectDataset[] {
  const datasets: ObjectDataset[] = []
  for (let rest = inputs; rest.length > 0; ) {
    try {
      const merged = mergeRegions(rest, { ...tools, window })
      const { dataset, joinedSamples, totalsFault } = merged
      if (totalsFault !== undefined) tools.totalsFaults.push(totalsFault)
      datasets.push(joinedSamples === 0 ? dataset : { ...dataset, joinedSamples })
      rest = rest.slice(merged.inputs)
    } catch (error) {
      throw explain(error, rest, tools)
    }
  }
  return datasets
}

function explain(error: unknown, inputs: readonly MergeGroupInput[], { codec, budgetBytes }: MergeTools): unknown {
  if (!(error instanceof CinderError)) return error
  const refs = (of: readonly MergeGroupInput[]) =>
    of.map(({ objectId, descriptor: { index } }) => ({ objectId, index }))
  if (error.reason === 'over_budget') {
    const isLarge = (input: MergeGroupInput): boolean => failsAlone(input, { codec, budgetBytes })
    return blame(error, { failure: 'over-budget', culprits: refs(inputs.filter(isLarge)) })
  }
  if (error.kind !== 'data_loss') return error
  const damaged = inputs.filter((input) => isDamaged(input, codec))
  if (damaged.length > 0) return blame(error, { failure: 'corrupt-source', culprits: refs(damaged) })
  if (!(error instanceof NotConserved)) return error
  const bad = error.dataset === undefined ? [] : [error.dataset]
  return notConserved(`${NOT_CONSERVED}: ${error.message}`, { culprits: refs(inputs), bad })
}

function failsAlone(input: MergeGroupInput, options: { readonly codec: Codec; readonly budgetBytes: number }): boolean {
  const { windowStartMs, windowMs } = input.descriptor
  try {
    mergeRegions([input], { ...options, window: { windowStartMs, windowMs } })
    return false
  } catch (error) {
    return error instanceof CinderError && error.reason === 'over_budget'
  }
}

/** Unreadable, or not what its own sums and totals say. */
function isDamaged({ region, descriptor }: MergeGroupInput, codec: Codec): boolean {
  try {
    const dataset = decodeDataset(region, descriptor, codec)
    const { sums } = openDataset(region, descriptor, codec)
    if (compareSums(sums, conservationSums(dataset, stackHashes(dataset.symbols))) !== undefined) return true
    const { headers, rows } = dataset
    return headers.group.some((group, h) => {
      const { rowCount, values } = rows[group]!
      const start = headers.rowStart[h]!
      const ownRows = values.map(({ lo, hi }) => ({
        lo: lo.subarray(start, rowCount),
        hi: hi.subarray(start, rowCount),
      }))
      return findTotalFault(headers, { first: h, end: h + 1 }, { values: ownRows }) !== undefined
    })
  } catch {
    return true
  }
}
