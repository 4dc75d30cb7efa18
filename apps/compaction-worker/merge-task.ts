/**
 * A merge as a pure function: bytes of source objects in, encoded objects out. Runs in this thread or in another.
 *
 * 1. Datasets of the sources are grouped by tenant, service and the window of the output's level; each group is decoded,
 *    merged and encoded before the next, so that one group's columns are in memory at a time.
 * 2. Conservation: the sums of the output, computed anew from its rows, must equal the sums of the inputs less their
 *    skipped profiles. A difference names series and type and fails the task: the sources stay.
 * 3. Tenants below `PACKED_TENANT_BYTES` share one object; a larger one has an object of its own. So 300 small tenants
 *    do not cost 300 PUTs. From the hour level on an object has one tenant.
 */
import {
  addSums,
  compareSums,
  conservationSums,
  describeDifference,
  renumberSums,
  stackHashes,
  subtractSums,
} from '#core/block/conservation.ts'
import type { ConservationSum, Dataset } from '#core/block/dataset.ts'
import { decodeDataset, openDataset } from '#core/block/read.ts'
import { encodeDataset, encodeObject, type ObjectDataset } from '#core/block/write.ts'
import { type MergeInput, mergeDatasets, type MergeWindow } from '#core/compaction/merge.ts'
import { mergeNumbering } from '#core/compaction/merge-headers.ts'
import { CLOSED_LEVEL, windowMsOfLevel } from '#core/compaction/policy.ts'
import { CinderError } from '#core/errors.ts'
import type { Codec } from '#core/ports/codec.ts'
import type { DatasetDescriptor, SourceDataset, SourceObject } from '#core/rpc/metastore.ts'
import { floorTo } from '#core/units.ts'

export interface MergeTask {
  readonly jobId: string
  readonly epoch: number
  readonly level: number
  readonly createdMs: number
  /** Ids for outputs; unused ones are forgotten. */
  readonly objectIds: readonly string[]
  readonly sources: { readonly source: SourceObject; readonly bytes: Uint8Array }[]
}

export interface MergeOutput {
  readonly objectId: string
  readonly bytes: Uint8Array
  readonly descriptors: DatasetDescriptor[]
}

export interface MergeTaskResult {
  readonly outputs: MergeOutput[]
  readonly samples: number
}

/** 1 MiB of output: below it a tenant's own object would mostly be request overhead. */
export const PACKED_TENANT_BYTES = 1024 * 1024

interface SourceRegion {
  readonly dataset: SourceDataset
  readonly region: Uint8Array
}

export function runMergeTask(task: MergeTask, codec: Codec): MergeTaskResult {
  const merged: ObjectDataset[] = []
  let samples = 0
  for (const group of groupSources(task)) {
    const dataset = mergeGroup(group, task.level, codec)
    merged.push(dataset)
    samples += dataset.encoded.sampleCount
  }
  const outputs = packObjects(merged, task.level).map((datasets, i) => {
    const objectId = task.objectIds[i]
    if (objectId === undefined)
      throw new CinderError('internal', `a job makes more than ${task.objectIds.length} objects`, {
        reason: 'job_too_large',
      })
    return { objectId, ...encodeObject({ ...outputHeader(task), objectId, datasets }) }
  })
  return { outputs, samples }
}

function outputHeader(
  task: MergeTask,
): Pick<Parameters<typeof encodeObject>[0], 'level' | 'createdMs' | 'sources' | 'job'> {
  return {
    level: task.level,
    createdMs: task.createdMs,
    job: { jobId: task.jobId, epoch: task.epoch },
    sources: task.sources.map(({ source }) => ({
      objectId: source.objectId,
      datasets: source.datasets.map(({ descriptor }) => descriptor.index),
    })),
  }
}

/** Regions by tenant, service and window, in the order of an object's datasets. */
function groupSources(task: MergeTask): SourceRegion[][] {
  const groups = new Map<string, SourceRegion[]>()
  for (const { source, bytes } of task.sources) {
    for (const dataset of source.datasets) {
      const { tenant, service, offset, sizeBytes } = dataset.descriptor
      const key = JSON.stringify([tenant, service, outputWindow(dataset.descriptor, task.level).windowStartMs])
      const region = bytes.subarray(offset, offset + sizeBytes)
      const group = groups.get(key)
      if (group === undefined) groups.set(key, [{ dataset, region }])
      else group.push({ dataset, region })
    }
  }
  return [...groups.values()].sort((a, b) => compareDescriptors(a[0]!.dataset.descriptor, b[0]!.dataset.descriptor))
}

function compareDescriptors(a: DatasetDescriptor, b: DatasetDescriptor): number {
  if (a.tenant !== b.tenant) return a.tenant < b.tenant ? -1 : 1
  if (a.service !== b.service) return a.service < b.service ? -1 : 1
  return a.windowStartMs - b.windowStartMs
}

function outputWindow({ windowStartMs }: DatasetDescriptor, level: number): MergeWindow {
  const windowMs = windowMsOfLevel(level)
  return { windowStartMs: floorTo(windowStartMs, windowMs), windowMs }
}

function mergeGroup(group: readonly SourceRegion[], level: number, codec: Codec): ObjectDataset {
  const inputs: MergeInput[] = group.map(({ dataset, region }) => ({
    dataset: decodeDataset(region, dataset.descriptor, codec),
    skip: dataset.skip,
  }))
  const { dataset, functionLevel } = mergeDatasets(inputs, outputWindow(group[0]!.dataset.descriptor, level))
  const sums = conservationSums(dataset, stackHashes(dataset.symbols))
  const stored = group.map(({ dataset: { descriptor }, region }) => openDataset(region, descriptor, codec).sums)
  checkConservation({ inputs, stored, dataset, sums })
  const { tenant, service, windowStartMs, windowMs } = dataset
  return { tenant, service, windowStartMs, windowMs, encoded: encodeDataset(dataset, { codec, functionLevel, sums }) }
}

interface ConservationCheck {
  readonly inputs: readonly MergeInput[]
  readonly stored: readonly (readonly ConservationSum[])[]
  readonly dataset: Dataset
  readonly sums: readonly ConservationSum[]
}

function checkConservation({ inputs, stored, dataset, sums }: ConservationCheck): void {
  const numbering = mergeNumbering(
    inputs.map((input) => input.dataset),
    dataset,
  )
  const expected = inputs.map((input, i) => {
    const whole = stored[i]!
    const skipped =
      input.skip.length === 0
        ? []
        : conservationSums(input.dataset, stackHashes(input.dataset.symbols), { positions: input.skip })
    return renumberSums(subtractSums(whole, skipped), numbering[i]!)
  })
  const difference = compareSums(addSums(expected), sums)
  if (difference === undefined) return
  throw new CinderError('data_loss', `merge does not conserve: ${describeDifference(difference, dataset)}`, {
    reason: 'conservation',
  })
}

/** Below the hour level tenants with little share the first object; the others follow, one each. */
function packObjects(datasets: readonly ObjectDataset[], level: number): ObjectDataset[][] {
  const bytesByTenant = new Map<string, number>()
  for (const { tenant, encoded } of datasets)
    bytesByTenant.set(tenant, (bytesByTenant.get(tenant) ?? 0) + encoded.bytes.length)
  const packed: ObjectDataset[] = []
  const own = new Map<string, ObjectDataset[]>()
  for (const dataset of datasets) {
    if (level < CLOSED_LEVEL && bytesByTenant.get(dataset.tenant)! < PACKED_TENANT_BYTES) packed.push(dataset)
    else own.set(dataset.tenant, [...(own.get(dataset.tenant) ?? []), dataset])
  }
  return packed.length === 0 ? [...own.values()] : [packed, ...own.values()]
}
