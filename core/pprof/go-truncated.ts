/**
 * Mends stacks that Go cut off at the root: its heap profiles keep the 32 innermost frames, its CPU profiles 64. A cut stack
 * shares frames with others that reach further towards the root, and what it lacks is taken from there.
 *
 * 1. Only profiles of Go's own sample types, as deep as a cut makes them. A heap profile that is deeper than 32 comes from
 *    a Go that keeps 128.
 * 2. Stacks of 24 frames and more are grouped by their 24 root-most ones.
 * 3. Of each group the eight runs of 16 frames that end 1 to 8 frames above its root are noted. Of two groups with one run
 *    the one counts that has more below it.
 * 4. A group whose own 16 root-most frames are such a run continues in the group that was noted, by as many frames; that
 *    one may continue in a third. All stacks of the group get the frames that are missing.
 *
 * Runs that lead to each other for ever are recursion: then nothing is mended. Must not change values or merge samples.
 *
 * Groups are counted in hundreds a profile, and most of them are whole: they are compared by numbers in typed arrays, a
 * hash that rolls over their frames finds runs, and only groups that are mended are put in order. With names as texts and
 * maps it took a fifth of taking a profile in, now a twentieth.
 */
import { GrowingUint32 } from '../wire/growing.ts'
import { mix32 } from '../wire/hash.ts'
import { tableSeed, tableWords } from '../wire/table-hash.ts'
import { type DecodedProfile, NO_ROW } from './profile.ts'
import { stringAt } from './string-table.ts'

/** Frames of a group's name, of a run, and how far above the root runs are looked for. */
const SUFFIX_FRAMES = 24
const RUN_FRAMES = 16
const SHIFT_MAX = SUFFIX_FRAMES - RUN_FRAMES

/** Groups in a row; deeper is recursion. */
const CHAIN_MAX = 56

const HEAP_TYPES: ReadonlySet<string> = new Set(['alloc_objects', 'alloc_space', 'inuse_objects', 'inuse_space'])
const HEAP_FRAMES_MAX = 32
const CPU_FRAMES_MAX = 64
/** Inlined frames share a location, so a cut stack may be a few locations short of the limit. */
const SHORT_BY = 4

const NONE = 0xffffffff

interface Groups {
  /** Without the one that is left alone. */
  readonly count: number
  /** Of group g: its 24 root-most locations, leaf first, from 24 g on. */
  readonly suffixes: Uint32Array
  /** By sample; `NONE` if its stack is too short. A number of `left` is that of the group that is left alone. */
  readonly groupOf: Uint32Array
  readonly left: number
  /** By group: its first sample of the deepest stacks. */
  readonly deepest: Uint32Array
}

/** By group: where it continues (`NONE` if it is whole), and by how many frames. */
interface Links {
  readonly linked: number
  readonly next: Uint32Array
  readonly frames: Uint8Array
}

/** `locationId`: of each location row; equal ids are one location; absent: each row is one. The same object if there is nothing to mend. */
export function mendTruncatedStacks(profile: DecodedProfile, locationId?: Uint32Array): DecodedProfile {
  if (!mayBeTruncated(profile)) return profile
  const groups = groupStacks(profile, locationId)
  const links = linkGroups(groups)
  if (links.linked === 0) return profile
  const missing: (Uint32Array | undefined)[] = Array.from({ length: groups.count }, () => undefined)
  let mended = 0
  for (const group of inOrder(groups, links)) {
    const frames = missingFrames(profile, group, { groups, links })
    if (frames === 'recursion') break
    if (frames === undefined) continue
    missing[group] = frames
    mended++
  }
  return mended === 0 ? profile : { ...profile, ...extendStacks(profile, groups, missing) }
}

export function mayBeTruncated(profile: DecodedProfile): boolean {
  const types = profile.sampleTypes.map(({ type }) => stringAt(profile, type))
  const depth = profile.sampleDepthMax
  if (types.some((type) => HEAP_TYPES.has(type))) return depth >= HEAP_FRAMES_MAX - SHORT_BY && depth <= HEAP_FRAMES_MAX
  return types.includes('cpu') && depth >= CPU_FRAMES_MAX - SHORT_BY
}

function groupStacks(profile: DecodedProfile, locationId: Uint32Array | undefined): Groups {
  const { sampleCount, sampleLocationStart, sampleLocation } = profile
  const table = new SuffixTable()
  const { suffix } = table
  const groupOf = new Uint32Array(sampleCount).fill(NONE)
  const deepest = new GrowingUint32(64)
  const depths = new GrowingUint32(64)
  let grouped = 0
  for (let sample = 0; sample < sampleCount; sample++) {
    const depth = sampleLocationStart[sample + 1]! - sampleLocationStart[sample]!
    if (depth < SUFFIX_FRAMES) continue
    const start = sampleLocationStart[sample + 1]! - SUFFIX_FRAMES
    for (let i = 0; i < SUFFIX_FRAMES; i++) {
      const row = sampleLocation[start + i]! | 0
      suffix[i] = row === (NO_ROW | 0) ? 0 : locationId === undefined ? row + 1 : locationId[row]!
    }
    const group = table.indexOf()
    groupOf[sample] = group
    grouped++
    if (group === deepest.count) {
      deepest.push(sample)
      depths.push(depth)
    } else if (depth > depths.array[group]!) {
      deepest.array[group] = sample
      depths.array[group] = depth
    }
  }
  const all = { suffixes: table.suffixes, groupOf, deepest: deepest.array }
  const last = lastInOrder(table.suffixes, deepest.count)
  if (last === NONE) return { ...all, count: 0, left: NONE }
  let ofLast = 0
  for (let sample = 0; sample < sampleCount; sample++) if (groupOf[sample] === last) ofLast++
  // The peers leave the last group alone, as a source and as a target, unless every other group has one stack.
  const left = grouped - ofLast < deepest.count ? NONE : last
  return { ...all, count: deepest.count, left }
}

/** Below 0 if group a comes before b: the order of the peers, which compare ids as they lie in memory, lowest byte first. */
function compareSuffixes(suffixes: Uint32Array, a: number, b: number): number {
  for (let i = 0; i < SUFFIX_FRAMES; i++) {
    const x = suffixes[a * SUFFIX_FRAMES + i]!
    const y = suffixes[b * SUFFIX_FRAMES + i]!
    if (x !== y) return swapBytes(x) - swapBytes(y)
  }
  return 0
}

function swapBytes(id: number): number {
  return (((id & 0xff) << 24) | ((id & 0xff00) << 8) | ((id >>> 8) & 0xff00) | (id >>> 24)) >>> 0
}

function lastInOrder(suffixes: Uint32Array, count: number): number {
  if (count === 0) return NONE
  let last = 0
  for (let group = 1; group < count; group++) if (compareSuffixes(suffixes, group, last) > 0) last = group
  return last
}

/** Groups that continue, in the order of the peers. */
function inOrder({ count, suffixes }: Groups, { next }: Links): number[] {
  const linked: number[] = []
  for (let group = 0; group < count; group++) if (next[group] !== NONE) linked.push(group)
  return linked.sort((a, b) => compareSuffixes(suffixes, a, b))
}

/** Numbers of different suffixes, in the order of their first use. */
class SuffixTable {
  readonly #seed = tableSeed()
  /** What `indexOf` looks for. */
  readonly suffix = new Uint32Array(SUFFIX_FRAMES)
  readonly #known = new GrowingUint32(SUFFIX_FRAMES * 64)
  readonly #hashes = new GrowingUint32(64)
  /** Open hash of numbers + 1; 0 = free. At most half full. */
  #slots = new Uint32Array(128)

  get suffixes(): Uint32Array {
    return this.#known.array
  }

  indexOf(): number {
    const { suffix } = this
    const hash = tableWords(this.#seed, suffix, 0, SUFFIX_FRAMES)
    const mask = this.#slots.length - 1
    let slot = hash & mask
    for (let entry = this.#slots[slot]!; entry !== 0; entry = this.#slots[slot]!) {
      if (this.#hashes.array[entry - 1] === hash && this.#equals(entry - 1)) return entry - 1
      slot = (slot + 1) & mask
    }
    this.#known.reserve(SUFFIX_FRAMES)
    this.#known.array.set(suffix, this.#known.count)
    this.#known.count += SUFFIX_FRAMES
    this.#hashes.push(hash)
    const { count } = this.#hashes
    this.#slots[slot] = count
    if (count * 2 > this.#slots.length) this.#rehash()
    return count - 1
  }

  #equals(index: number): boolean {
    const known = this.#known.array
    const { suffix } = this
    for (let i = 0, at = index * SUFFIX_FRAMES; i < SUFFIX_FRAMES; i++, at++) if (known[at] !== suffix[i]) return false
    return true
  }

  #rehash(): void {
    const slots = new Uint32Array(this.#slots.length * 2)
    const mask = slots.length - 1
    for (let index = 0; index < this.#hashes.count; index++) {
      let slot = this.#hashes.array[index]! & mask
      while (slots[slot] !== 0) slot = (slot + 1) & mask
      slots[slot] = index + 1
    }
    this.#slots = slots
  }
}

/**
 * The runs that end at the root of a group, and of each the group that has it furthest above its own root. A window's hash is
 * a polynomial over its 16 frames, so that the next window's costs two steps.
 */
class RunTable {
  readonly #groups: Groups
  /** Open hash of runs + 1; 0 = free. At most half full. */
  readonly #slots: Uint32Array
  /** By run: a group whose root it is, its hash, and what is noted of it. */
  readonly #group: Uint32Array
  readonly #hash: Uint32Array
  readonly furthest: Uint32Array
  readonly frames: Uint8Array
  /** By group. */
  readonly runOfRoot: Uint32Array
  #count = 0
  /** An odd factor of the rolling hash that nobody knows, and its 15th power. */
  readonly #roll = mix32(tableSeed() ^ 0x01000193) | 1
  readonly #roll15 = Array.from({ length: RUN_FRAMES - 1 }).reduce<number>((power) => Math.imul(power, this.#roll), 1)

  constructor(groups: Groups) {
    const { count } = groups
    let capacity = 16
    while (capacity < 2 * count) capacity *= 2
    this.#groups = groups
    this.#slots = new Uint32Array(capacity)
    this.#group = new Uint32Array(count)
    this.#hash = new Uint32Array(count)
    this.furthest = new Uint32Array(count).fill(NONE)
    this.frames = new Uint8Array(count)
    this.runOfRoot = new Uint32Array(count)
  }

  addRoot(group: number): void {
    const hash = mix32(this.#hashOf(group * SUFFIX_FRAMES + SHIFT_MAX))
    const slot = this.#slotOf(hash, group * SUFFIX_FRAMES + SHIFT_MAX)
    if (this.#slots[slot] === 0) {
      this.#group[this.#count] = group
      this.#hash[this.#count] = hash
      this.#slots[slot] = ++this.#count
    }
    this.runOfRoot[group] = this.#slots[slot]! - 1
  }

  /** The eight runs above the root of a group, where some group has one of them at its root. */
  note(group: number): void {
    const { suffixes } = this.#groups
    const first = group * SUFFIX_FRAMES
    let state = this.#hashOf(first)
    for (let shift = 0; shift < SHIFT_MAX; shift++) {
      const run = this.#slots[this.#slotOf(mix32(state), first + shift)]! - 1
      if (run >= 0) this.#noteRun(run, group, SHIFT_MAX - shift)
      const without = (state - Math.imul(suffixes[first + shift]!, this.#roll15)) | 0
      state = (Math.imul(without, this.#roll) + suffixes[first + shift + RUN_FRAMES]!) | 0
    }
  }

  #noteRun(run: number, group: number, frames: number): void {
    const known = this.furthest[run]!
    if (known !== NONE) {
      if (frames < this.frames[run]!) return
      // Of equals the first in order.
      if (frames === this.frames[run] && compareSuffixes(this.#groups.suffixes, group, known) > 0) return
    }
    this.furthest[run] = group
    this.frames[run] = frames
  }

  #hashOf(at: number): number {
    const { suffixes } = this.#groups
    let state = 0
    for (let i = 0; i < RUN_FRAMES; i++) state = (Math.imul(state, this.#roll) + suffixes[at + i]!) | 0
    return state
  }

  /** Of the run at a position of the suffixes, or the free one where it would be. */
  #slotOf(hash: number, at: number): number {
    const mask = this.#slots.length - 1
    let slot = hash & mask
    for (let entry = this.#slots[slot]!; entry !== 0; entry = this.#slots[slot]!) {
      if (this.#hash[entry - 1] === hash && this.#equals(this.#group[entry - 1]!, at)) return slot
      slot = (slot + 1) & mask
    }
    return slot
  }

  #equals(group: number, at: number): boolean {
    const { suffixes } = this.#groups
    const root = group * SUFFIX_FRAMES + SHIFT_MAX
    for (let i = 0; i < RUN_FRAMES; i++) if (suffixes[root + i] !== suffixes[at + i]) return false
    return true
  }
}

function linkGroups(groups: Groups): Links {
  const { count, left } = groups
  const runs = new RunTable(groups)
  for (let group = 0; group < count; group++) if (group !== left) runs.addRoot(group)
  for (let group = 0; group < count; group++) if (group !== left) runs.note(group)
  const next = new Uint32Array(count).fill(NONE)
  const frames = new Uint8Array(count)
  let linked = 0
  for (let group = 0; group < count; group++) {
    if (group === left) continue
    const run = runs.runOfRoot[group]!
    const furthest = runs.furthest[run]!
    if (furthest === NONE || furthest === group) continue
    next[group] = furthest
    frames[group] = runs.frames[run]!
    linked++
  }
  return { linked, next, frames }
}

/** Root-most location rows that the stacks of a group lack; undefined if they are whole. */
function missingFrames(
  profile: DecodedProfile,
  group: number,
  { groups, links }: { readonly groups: Groups; readonly links: Links },
): Uint32Array | 'recursion' | undefined {
  let frames = 0
  let last = group
  for (let steps = 0; links.next[last] !== NONE; steps++) {
    if (steps === CHAIN_MAX) return 'recursion'
    frames += links.frames[last]!
    last = links.next[last]!
  }
  const { sampleLocationStart, sampleLocation } = profile
  // Stacks of a group have 24 frames in common; a chain may need more, and the deepest one has most.
  const reference = groups.deepest[last]!
  const end = sampleLocationStart[reference + 1]!
  if (frames >= end - sampleLocationStart[reference]!) return undefined
  return sampleLocation.slice(end - frames, end)
}

/** `missing`: by group. */
function extendStacks(
  profile: DecodedProfile,
  { groupOf }: Groups,
  missing: readonly (Uint32Array | undefined)[],
): Pick<DecodedProfile, 'sampleLocationStart' | 'sampleLocation' | 'sampleDepthMax'> {
  const { sampleCount, sampleLocationStart, sampleLocation } = profile
  const start = new Uint32Array(sampleCount + 1)
  let added = 0
  let depthMax = profile.sampleDepthMax
  for (let sample = 0; sample < sampleCount; sample++) {
    start[sample] = sampleLocationStart[sample]! + added
    const group = groupOf[sample]!
    const frames = group === NONE ? undefined : missing[group]
    if (frames === undefined) continue
    added += frames.length
    depthMax = Math.max(depthMax, sampleLocationStart[sample + 1]! + added - start[sample]!)
  }
  const end = sampleLocationStart[sampleCount]!
  start[sampleCount] = end + added
  const location = new Uint32Array(end + added)
  // Whole runs of stacks between two that are mended are copied at once.
  let copied = 0
  for (let sample = 0; sample < sampleCount; sample++) {
    const from = sampleLocationStart[sample + 1]!
    const to = start[sample + 1]!
    const lacking = to - from - (start[sample]! - sampleLocationStart[sample]!)
    if (lacking === 0) continue
    location.set(sampleLocation.subarray(copied, from), to - lacking - (from - copied))
    location.set(missing[groupOf[sample]!]!, to - lacking)
    copied = from
  }
  location.set(sampleLocation.subarray(copied, end), end + added - (end - copied))
  return { sampleLocationStart: start, sampleLocation: location, sampleDepthMax: depthMax }
}
