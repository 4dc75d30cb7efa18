/**
 * Memory that merges of a thread use one after the other: making and clearing it anew for every group of small segments
 * took a tenth of their time. What a large group needs is given back after it: 24 MiB stay at most.
 *
 * Must not: be used by two merges at once, or hold anything that a later merge reads.
 */
import { FrameScratch } from '../block/frames.ts'
import { SymbolsSubset } from '../symbols/subset.ts'
import { MIB } from '../units.ts'
import { RowScratch, RowSorter } from './merge-rows.ts'

/** 24 MiB: full frames, four types wide, of the output and of ten sources. */
const KEPT_BYTES_MAX = 24 * MIB

export class MergeScratch {
  order = new SymbolsSubset()
  sorter = new RowSorter()
  /** Of the output. */
  frames = new FrameScratch()
  rows = new RowScratch()
  /** Of each source. */
  #sources: RowScratch[] = []

  get sizeBytes(): number {
    const parts = [this.order, this.sorter, this.frames, this.rows, ...this.#sources]
    return parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  }

  ofSource(source: number): RowScratch {
    return (this.#sources[source] ??= new RowScratch())
  }

  /** After a merge. */
  trim(): void {
    if (this.sizeBytes <= KEPT_BYTES_MAX) return
    this.#sources = []
    if (this.sizeBytes <= KEPT_BYTES_MAX) return
    this.order = new SymbolsSubset()
    this.sorter = new RowSorter()
    this.frames = new FrameScratch()
    this.rows = new RowScratch()
  }
}
