/**
 * A commit with every label set of its datasets, instead of those that the metastore may lack: read from the heads that
 * were encoded, where they all are. For a commit that was told that what it leaves out is gone, and for entries of the
 * journal, whose reader cannot ask. It costs a decoding of every head, and happens after a tenant's deletion.
 */
import { openDataset } from '#core/block/read.ts'
import type { Codec } from '#core/ports/codec.ts'
import { labelSetsOfHead } from '#core/recovery/head-label-sets.ts'
import type { CommitSegmentRequest } from '#core/rpc/metastore.ts'

/** `regions`: the bytes of the datasets, in the order of the request. */
export function withWholeLabelSets(
  request: CommitSegmentRequest,
  regions: readonly Uint8Array[],
  codec: Codec,
): CommitSegmentRequest {
  if (request.labelEpoch === undefined) return request
  const labelSets = request.datasets.flatMap((descriptor, i) =>
    labelSetsOfHead(openDataset(regions[i]!, descriptor, codec)),
  )
  return { ...request, labelSets, labelEpoch: undefined }
}
