/**
 * A job thread (job-thread.ts) that collects its heap while it merges.
 *
 * Timers of a thread come between groups of a merge, every 20 ms (thread-host.ts). A merge of the blocks of a day, 24 MB of six
 * million rows, makes 257 MB of columns, scratch and encoded bytes in a second of CPU, and its heap went up to 144 MB before
 * the engine collected it.
 */
import { fullGC, heapSize } from 'bun:jsc'
import { MIB } from '#core/units.ts'
import { createHeapPace } from '#platform/heap-pace.ts'
import './job-thread.ts'

/** 15 MB at most are made between two looks, and a look takes some 20 us. */
const LOOK_EVERY_MS = 50

/** Eight times in that merge. By 16 MiB it would peak 15 MB lower, for a tenth more of CPU; by 32 it costs nothing that could be measured. */
const GROWTH_BYTES_MAX = 32 * MIB

const later = (delayMs: number, run: () => void): void => void setTimeout(run, delayMs).unref()
const pace = createHeapPace({ heapBytes: heapSize, collect: fullGC, growthBytesMax: GROWTH_BYTES_MAX, later })
setInterval(() => pace.collectIfGrown(), LOOK_EVERY_MS).unref()
