/**
 * What a thread keeps of blocks between calls: heads, symbols, and partial answers over whole objects.
 *
 * The key of a dataset is its place and its identity: a request that names another tenant at the same place finds nothing,
 * and reads bytes whose checksum then refuses it.
 *
 * Sizes are estimates from counts; a head decodes what it is asked for and keeps it, so all of it counts from the start.
 */
import type { DatasetHead } from '#core/block/read.ts'
import { findSection } from '#core/block/section-table.ts'
import type { NamedStacks } from '#core/query/call-site.ts'
import type { BlockCache } from '#core/query/block-cache.ts'
import type { KeptSymbols } from '#core/query/stacktrace-plan.ts'
import type { SourceDataset } from '#core/rpc/metastore.ts'
import type { Symbols } from '#core/symbols/symbols.ts'

type Descriptor = SourceDataset['descriptor']

/** Times, places, lengths and totals of four types. */
const HEADER_BYTES = 100
/** Label sets and frame indices are some eight times their packed bytes. */
const HEAD_GROWTH = 8
const OBJECT_BYTES = 2_048
/** What is worked out of rollups while the head is kept (stacktrace-plan.ts): 140 bytes each, of 6 in the index. */
const ROLLUP_GROWTH = 24

export class KeptBlocks {
  readonly #cache: BlockCache

  constructor(cache: BlockCache) {
    this.#cache = cache
  }

  head(objectId: string, descriptor: Descriptor): DatasetHead | undefined {
    return this.#cache.get(`head ${datasetKey(objectId, descriptor)}`) as DatasetHead | undefined
  }

  /** The head must own its bytes: one over a larger buffer would keep all of that. */
  keepHead(objectId: string, head: DatasetHead): void {
    const { headBytes, profileCount } = head.descriptor
    const rollupBytes = (findSection(head.table, 'rollupIndex')?.rawBytes ?? 0) * ROLLUP_GROWTH
    const sizeBytes = headBytes * HEAD_GROWTH + profileCount * HEADER_BYTES + rollupBytes + OBJECT_BYTES
    this.#cache.set(`head ${datasetKey(objectId, head.descriptor)}`, head, sizeBytes)
  }

  symbols(objectId: string, head: DatasetHead): KeptSymbols {
    const key = datasetKey(objectId, head.descriptor)
    const cache = this.#cache
    return {
      named: cache.get(`named ${key}`) as NamedStacks | undefined,
      lines: cache.get(`lines ${key}`) as Symbols | undefined,
      keepNamed: (named) => cache.set(`named ${key}`, named, sizeOfNamed(named, head)),
      keepLines: (lines) => cache.set(`lines ${key}`, lines, sizeOfLines(lines)),
    }
  }
}

export function datasetKey(objectId: string, descriptor: Descriptor): string {
  const { tenant, service, offset, headBytes, sizeBytes, profileCount, sampleCount } = descriptor
  return JSON.stringify([objectId, offset, headBytes, sizeBytes, profileCount, sampleCount, tenant, service])
}

function sizeOfNamed({ level, stackNode }: NamedStacks, head: DatasetHead): number {
  const nodes = level.nodeCount * 8 + level.nodeToFunctionNode.length * 4 + stackNode.length * 4
  return nodes + head.section('strings').rawBytes * 2 + OBJECT_BYTES
}

function sizeOfLines(symbols: Symbols): number {
  const { functionCount, locationCount, lineFunction, nodeCount, stackCount, stringBytes, stringCount } = symbols
  const strings = stringBytes.length + stringCount * 4
  const rows = functionCount * 24 + locationCount * 20 + lineFunction.length * 12 + nodeCount * 8 + stackCount * 4
  return strings + rows + OBJECT_BYTES
}
